"""The tuning app: `benben tune RUN --serve` shows it in the browser."""
