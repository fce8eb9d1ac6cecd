"""Plain loops over the equations of each model: slow and short; the fast losses are tested against them.

They use the model's own layers, one time step after the other, and sample the same noise in the same order. Rows of a
batch are computed together; frames are encoded and decoded together, since batch norm averages over all of them.
`plain_loss` returns the unweighted terms; `jumpy speed train` times it.
"""
