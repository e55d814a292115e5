"""Recurrences: PyTorch's compiled ones against scans and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from ports import Bug, draw, load, normal, ports
from torch import nn

INPUT, HIDDEN = 3, 7


def recurrent(gates):
    """Return PyTorch's arrays, the gates one below the other."""
    height = gates * HIDDEN
    return {
        "weight_ih_l0": draw(600, height, INPUT),
        "weight_hh_l0": draw(601, height, HIDDEN),
        "bias_ih_l0": draw(602, height),
        "bias_hh_l0": draw(603, height),
    }


def gru():
    return load(nn.GRU(INPUT, HIDDEN, batch_first=True), **recurrent(3))


def gru_by_scan(bug):
    wx, wh, bx, bh = (jnp.asarray(array) for array in recurrent(3).values())
    if bug == "gates in Keras's order":
        order = np.r_[HIDDEN : 2 * HIDDEN, :HIDDEN, 2 * HIDDEN : 3 * HIDDEN]
        wx, wh, bx, bh = wx[order], wh[order], bx[order], bh[order]

    def step(memory, frame):
        from_input = frame @ wx.T + bx
        from_memory = memory @ wh.T + bh
        reset, update = jnp.split(
            jax.nn.sigmoid(from_input[:, : 2 * HIDDEN] + from_memory[:, : 2 * HIDDEN]), 2, axis=-1
        )
        fresh = from_memory[:, 2 * HIDDEN :]
        if bug == "reset before the product":
            fresh = (reset * memory) @ wh[2 * HIDDEN :].T + bh[2 * HIDDEN :]
        elif bug == "bias outside of the reset":
            fresh = reset * (fresh - bh[2 * HIDDEN :]) + bh[2 * HIDDEN :]
        else:
            fresh = reset * fresh
        proposal = jnp.tanh(from_input[:, 2 * HIDDEN :] + fresh)
        if bug == "update the other way":
            memory = update * proposal + (1 - update) * memory
        else:
            memory = (1 - update) * proposal + update * memory
        return memory, memory

    def run(sequence):
        start = jnp.zeros((len(sequence), HIDDEN), sequence.dtype)
        frames = sequence.swapaxes(0, 1)
        frames = frames[::-1] if bug == "from the end" else frames
        final, states = jax.lax.scan(step, start, frames)
        return states.swapaxes(0, 1), final[None]

    return run


class Cells(nn.Module):
    """A loop over PyTorch's cell, the way one writes a decoder."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTMCell(INPUT, HIDDEN), nn.Linear(HIDDEN, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), HIDDEN)
        outs = []
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
            outs.append(self.out(h))
        return torch.stack(outs, dim=1)


def lstm_cells():
    cell = {f"cell__{name[:-3]}": array for name, array in recurrent(4).items()}
    return load(Cells(), **cell, out__weight=draw(610, 2, HIDDEN), out__bias=draw(610, 2))


def lstm_in_numpy(bug):
    """One sample at a time, in NumPy; the products of the inputs before the loop."""
    wx, wh, bx, bh = recurrent(4).values()
    w_last, b_last = draw(610, 2, HIDDEN), draw(610, 2)

    def sigmoid(v):
        return 0.5 * np.tanh(0.5 * v) + 0.5

    def one(track):
        hidden, cell, said = np.zeros(HIDDEN, track.dtype), np.zeros(HIDDEN, track.dtype), []
        for row in track @ wx.T + (bx if bug == "bias of the state forgotten" else bx + bh):
            pre = row + wh @ hidden
            entry, forget, candidate, exit_ = np.split(pre, 4)
            if bug == "gates of Jozefowicz":
                entry, candidate, forget, exit_ = np.split(pre, 4)
            lift = 1 if bug == "forget bias of 1" else 0
            cell = sigmoid(forget + lift) * cell + sigmoid(entry) * np.tanh(candidate)
            told = cell if bug == "no tanh of the cell" else np.tanh(cell)
            hidden = sigmoid(exit_) * told
            said.append(w_last @ hidden + b_last)
        return np.stack(said)

    return lambda tracks: np.stack([one(track) for track in tracks])


def both_ways():
    module = nn.GRU(INPUT, HIDDEN, batch_first=True, bidirectional=True)
    forward = recurrent(3)
    backward = {f"{name}_reverse": array[::-1].copy() for name, array in forward.items()}
    load(module, **forward, **backward)
    return lambda x: module(x)[0]


def both_ways_by_scan(bug):
    ahead = gru_by_scan(None)
    tables = [array[::-1].copy() for array in recurrent(3).values()]
    wx, wh, bx, bh = (jnp.asarray(array) for array in tables)

    def cell(memory, frame):
        a, b = jnp.split(frame @ wx.T + bx, 3, axis=-1), jnp.split(memory @ wh.T + bh, 3, axis=-1)
        opened, kept = jax.nn.sigmoid(a[0] + b[0]), jax.nn.sigmoid(a[1] + b[1])
        after = kept * memory + (1 - kept) * jnp.tanh(a[2] + opened * b[2])
        return after, after

    def run(sequence):
        forth, _ = ahead(sequence)
        start = jnp.zeros_like(forth[:, 0])
        turned = bug != "second direction not turned"
        _, back = jax.lax.scan(cell, start, sequence.swapaxes(0, 1), reverse=turned)
        if bug == "states of the second not turned back":
            back = back[::-1]
        pair = [forth, back.swapaxes(0, 1)]
        return jnp.concatenate(pair[::-1] if bug == "directions swapped" else pair, axis=-1)

    return run


PORTS = (
    *ports(
        "gru/nn.GRU, scan",
        gru,
        gru_by_scan,
        normal((2, 5, INPUT)),
        Bug(
            "gates in Keras's order",
            ("states", "memory", "output", "reset", "update", "from_input"),
        ),
        Bug("reset before the product", ("states", "memory", "output", "fresh", "proposal")),
        Bug("bias outside of the reset", ("states", "memory", "output", "fresh", "proposal")),
        Bug("update the other way", ("states", "memory", "output")),
        Bug("from the end", ("states", "memory", "output", "frames", "from_input")),
    ),
    *ports(
        "gru/LSTMCell, NumPy loops",
        lstm_cells,
        lstm_in_numpy,
        normal((2, 5, INPUT)),
        Bug(
            "bias of the state forgotten",
            ("row in", "pre in", "hidden in", "cell in", "self.cell("),
        ),
        Bug("gates of Jozefowicz", ("candidate", "cell in", "hidden in", "self.cell(")),
        Bug("forget bias of 1", ("cell in", "hidden in", "self.cell(")),
        Bug("no tanh of the cell", ("hidden in", "told in", "self.cell(")),
    ),
    *ports(
        "gru/both directions, scan",
        both_ways,
        both_ways_by_scan,
        normal((2, 5, INPUT)),
        Bug("second direction not turned", ("back", "after", "output")),
        Bug(
            "states of the second not turned back",
            ("back", "concatenate", "output", "run returns"),
            "other order",
        ),
        Bug("directions swapped", ("concatenate", "output", "run returns"), "other order"),
    ),
)
