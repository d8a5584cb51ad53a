"""How does a merchant's system reach us? The API's door: reads a request, makes one service call, renders the answer.

It opens no transaction, reads no table and decides nothing about money. Addresses are given out in `payments.api.urls`.
"""
