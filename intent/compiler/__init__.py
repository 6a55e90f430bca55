"""From intents and inventory to one flow program per switch. Pure."""
