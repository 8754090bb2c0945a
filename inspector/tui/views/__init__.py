"""The views of the app, a file or a folder each; `tui/view_list.py` lists them."""
