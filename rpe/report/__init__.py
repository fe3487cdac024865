"""What a run came to, as text: for a terminal, for JUnit readers, for a page in Markdown."""
