"""The other side of each row: adapters of other libraries, and published algorithms written anew."""
