"""The only writers of the comparison. One file a use-case family; each takes its moment as an argument."""
