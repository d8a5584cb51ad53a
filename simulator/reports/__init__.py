"""Days of reports with known differences planted in them: what gateways and banks say, and what a merchant knows."""
