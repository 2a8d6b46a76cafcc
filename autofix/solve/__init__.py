"""Analysis -> Solution: the smallest change after which every size asked for works."""
