"""Numerical comparison with the reference: case files in, a table of errors out.

    python -m wan_engine.parity CASE.safetensors ...

A case is a file of weights, inputs and the reference's outputs, with a JSON beside it that names the model,
its configuration and the tolerance. Any file of a known kind works, whatever its configuration, shapes and
seeds.
"""
