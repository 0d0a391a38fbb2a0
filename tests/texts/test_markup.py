"""HTML of a forum to text: what a model should learn to write stays, the rest becomes words."""

import time

import pytest

from curate.texts.markup import html_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            "<p>Use <code>x</code>:</p>\n<pre><code>x = 1\n\n  y\n</code></pre>\n<p>ok</p>",
            "Use `x`:\n\n```\nx = 1\n\n  y\n```\n\nok",
        ),
        ('<pre class="lang-py s-code-block"><code>a &lt; b</code></pre>', "```py\na < b\n```"),
        ("<pre><code>```\ninside\n```</code></pre>", "````\n```\ninside\n```\n````"),
        ("<ol><li>one<ul><li>in</li></ul></li><li><p>two</p></li></ol><p>end</p>", "1. one\n  - in\n2. two\n\nend"),
        ("<ul><li><pre><code>c\nd</code></pre></li></ul>", "- ```\n  c\n  d\n  ```"),
        ("<blockquote><p>said\nso</p><p>twice</p></blockquote>no", "> said so\n\n> twice\n\nno"),
        ('see <a href="http://a.b">this page</a>, <a href="x">https://a.b/c</a>', "see this page,"),
        ('<p>before<img src="x.png" alt="a cat"> after</p>', "before after"),
        ("x<sup>2</sup> + a<sub>i,j</sub>", "x^2 + a_(i,j)"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "| a | b |\n| 1 | 2 |"),
        ("a<br>b  &amp;\n c <b>bold</b><!-- language: js -->", "a\nb & c bold"),
        ("<script>alert(1)</script><style>p {}</style>left", "left"),
        ("<h2>제목</h2><p>한국어 <em>본문</em></p>", "제목\n\n한국어 본문"),
        ("", ""),
    ],
)
def test_code_lists_quotes_and_tables_stay(html: str, text: str) -> None:
    assert html_text(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>1 < 2 and <b>so", "1 < 2 and so"),
        ("<pre><code>open", "```\nopen\n```"),
        ('<a href="x">open', "open"),
        ("x<sup>2 <p>next", "x2\n\nnext"),
        ("</ul></blockquote></pre></a>text</sup>", "text"),
        ("<!-- <p>open comment", "<!--\n\nopen comment"),
        ("<li>alone", "- alone"),
    ],
)
def test_damaged_html_costs_no_words(html: str, text: str) -> None:
    assert html_text(html) == text


@pytest.mark.parametrize(
    "piece", ["<!--", "<a ", '<a b="', "</", "<![CDATA[", "&#", "<ul><li>", "<blockquote>", "<pre>"]
)
def test_hostile_html_takes_no_longer_than_its_length(piece: str) -> None:
    began = time.process_time()
    html_text(piece * 20_000)
    assert time.process_time() - began < 5
