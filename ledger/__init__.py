"""THE BOOKS. Accounts, entries and money; this app has never heard of a card."""
