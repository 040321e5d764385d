if vendor == "nvidia":
    pass
