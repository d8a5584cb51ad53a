"""What would Stripe answer? Its API v1, webhooks, payouts, disputes and dashboard; knows no other gateway."""
