"""THE BUSINESS. Payments, their movements at the gateways, and the decisions of operators."""
