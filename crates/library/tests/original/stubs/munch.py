"""As much of munch as the original's programs need: a dictionary with attributes, absent ones being None."""


class DefaultMunch:
    @classmethod
    def fromDict(cls, values):
        munch = cls()
        munch.__dict__.update(values)
        return munch

    def __getattr__(self, _name):
        return None
