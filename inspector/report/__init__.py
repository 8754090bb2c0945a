"""A study as a web page, as figures and tables for papers, as Markdown. Sees results alone: no adapters, no torch.

`sections` says what is shown, as parts (`document.py`); `drawing` draws them with matplotlib, once for all; `page`,
`figures`, `latex` and `markdown` write them.
"""
