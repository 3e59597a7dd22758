"""What users do, without a door: the command line and the web call these."""
