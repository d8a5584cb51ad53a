"""What may the books and the business do together? One file per use-case family; the only writers of this app."""
