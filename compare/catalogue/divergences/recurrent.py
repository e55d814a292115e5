"""Divergences of recurrent layers, and of PReLU and dropout."""

from compare.catalogue.divergences.records import FLAX_DOCS, TORCH_DOCS, Divergence

RECURRENT = (
    Divergence(
        name="gru_bias",
        title="A GRU has two biases in PyTorch and one in Flax",
        what="PyTorch has a second bias b' inside the reset gate: n = tanh(W x + b + r (U h + "
        "b')). nnx.GRUCell has no b' (although its documentation shows one), so it cannot "
        "represent a trained PyTorch GRU. The order of the gates is the same: reset, update, new. "
        "In the example all weights are 0, all biases 1, and the state 0:",
        pytorch="cell = nn.GRUCell(1, 1)\n"
        "for name, x in cell.named_parameters():\n"
        '    nn.init.constant_(x, "bias" in name)\n'
        "len(list(cell.parameters())), cell(torch.zeros(1, 1)).item()",
        jax="cell = nnx.GRUCell(1, 1, rngs=nnx.Rngs(0))\n"
        "nnx.update(cell, jax.tree.map(lambda x: jnp.float32(x.ndim == 1) + 0 * x,\n"
        "                              nnx.state(cell, nnx.Param)))\n"
        "new, _ = cell(jnp.zeros((1, 1)), jnp.zeros((1, 1)))\n"
        "len(jax.tree.leaves(nnx.state(cell, nnx.Param))), new.item()",
        expect=lambda r: r.pytorch[0] == 4 and r.jax[0] == 3 and r.pytorch[1] != r.jax[1],
        size=lambda r: f"{r.pytorch[1]:.3g} against {r.jax[1]:.3g}",
        detect="Count the parameters.",
        fix="Write the cell yourself with the second bias, or train PyTorch's GRU with bias_hh "
        "fixed at 0.",
        sources=(TORCH_DOCS + "nn.GRU.html", FLAX_DOCS + "recurrent.html"),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "training drifts: the loss or its gradient",
        ),
        calls=("nn.GRU", "nn.GRUCell", "nnx.GRUCell"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="lstm_bias",
        title="An LSTM has two biases in PyTorch and one in Flax",
        what="PyTorch only ever uses the sum of bias_ih and bias_hh. If you load only one of "
        "them, half is missing. If both are trained with the same gradient, the sum changes twice "
        "as fast. PyTorch packs the gates i, f, g, o into one matrix, as nnx.OptimizedLSTMCell "
        "does; nnx.LSTMCell has one matrix for each. The example counts all bias values of one "
        "unit:",
        pytorch="cell = nn.LSTMCell(1, 1)\ncell.bias_ih.numel() + cell.bias_hh.numel()",
        jax="cell = nnx.LSTMCell(1, 1, rngs=nnx.Rngs(0))\n"
        "sum(x.size for x in jax.tree.leaves(nnx.state(cell, nnx.Param)) if x.ndim == 1)",
        expect=lambda r: (r.pytorch, r.jax) == (8, 4),
        size=lambda r: f"{r.pytorch} against {r.jax}",
        detect="Count the parameters.",
        fix="Load bias_ih + bias_hh. To train in the same way, fix one of PyTorch's biases at 0.",
        sources=(TORCH_DOCS + "nn.LSTM.html", FLAX_DOCS + "recurrent.html"),
        symptoms=(
            "checkpoint loads, outputs differ: right after loading",
            "training drifts: the loss or its gradient",
        ),
        calls=("nn.LSTM", "nn.LSTMCell", "nnx.LSTMCell"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="lstm_state",
        title="The state of an LSTM is (h, c) in PyTorch and (c, h) in Flax",
        what="The output h and the cell state c have the same shape, so a swapped pair raises no "
        "error. The example starts from the pair (0, 1) with all weights 0, and shows the new "
        "pair:",
        pytorch="cell = nn.LSTMCell(1, 1)\nfor x in cell.parameters():\n    nn.init.zeros_(x)\n"
        "[x.item() for x in cell(torch.zeros(1, 1), (torch.zeros(1, 1), torch.ones(1, 1)))]",
        jax="cell = nnx.LSTMCell(1, 1, rngs=nnx.Rngs(0))\n"
        "nnx.update(cell, jax.tree.map(jnp.zeros_like, nnx.state(cell, nnx.Param)))\n"
        "pair, _ = cell((jnp.zeros((1, 1)), jnp.ones((1, 1))), jnp.zeros((1, 1)))\n"
        "[x.item() for x in pair]",
        expect=lambda r: r.pytorch[1] == 0.5 and 0.2 < r.pytorch[0] < 0.3 and r.jax == (0, 0),
        size=lambda r: f"{r.pytorch[0]:.3g} and {r.pytorch[1]:g} against {r.jax[0]:g} and 0",
        detect="Start from a state whose two arrays differ.",
        fix="Swap the pair where a state passes from one framework to the other.",
        sources=(TORCH_DOCS + "nn.LSTMCell.html", FLAX_DOCS + "recurrent.html"),
        symptoms=("outputs differ by a few percent or more",),
        calls=("nn.LSTM", "nn.LSTMCell", "nnx.LSTMCell", "nnx.OptimizedLSTMCell"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="recurrent_start",
        title="Recurrent weights are uniform in PyTorch and orthogonal in Flax initially",
        what="PyTorch draws every weight and bias uniformly between -1 / sqrt(units) and "
        "1 / sqrt(units). Flax uses an orthogonal matrix for the state, which preserves its "
        "length over many steps, and biases of 0. The example shows the largest entry of "
        "U U^T - 1 for 64 units:",
        pytorch="torch.manual_seed(0)\nw = nn.RNNCell(64, 64).weight_hh\n"
        "(w @ w.T - torch.eye(64)).abs().max()",
        jax="w = nnx.SimpleCell(64, 64, rngs=nnx.Rngs(0)).dense_h.kernel[...]\n"
        "jnp.abs(w @ w.T - jnp.eye(64)).max()",
        expect=lambda r: r.pytorch > 0.3 and r.jax < 1e-4,
        size=lambda r: f"{r.pytorch:.2g} against {r.jax:.1g}",
        detect="Multiply the initial recurrent weights by their transpose.",
        fix="Use `nn.init.orthogonal_` for each gate, or start both frameworks from the same "
        "arrays.",
        sources=(TORCH_DOCS + "nn.RNN.html", FLAX_DOCS + "recurrent.html"),
        symptoms=("training drifts: the initial weights or random numbers",),
        calls=(
            *("nn.RNN", "nn.RNNCell", "nn.GRU", "nn.LSTM"),
            *("nnx.SimpleCell", "nnx.GRUCell", "nnx.LSTMCell"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="steps_before_the_batch",
        title="The first axis is steps in nn.LSTM, the batch in nnx.RNN",
        what="In PyTorch batch_first is False, in Flax time_major is False. The example shows "
        "whether the output for one sample changes when another sample does:",
        pytorch="torch.manual_seed(0)\nlayer, x = nn.RNN(1, 1), torch.ones(2, 3, 1)\n"
        "before = layer(x)[0][1]\nx[0] = 2\n(layer(x)[0][1] != before).any().item()",
        jax="layer = nnx.RNN(nnx.SimpleCell(1, 1, rngs=nnx.Rngs(0)))\n"
        "x = jnp.ones((2, 3, 1))\nbool((layer(x)[1] != layer(x.at[0].set(2))[1]).any())",
        expect=lambda r: r.pytorch is True and r.jax is False,
        size=lambda r: "the samples of a batch follow one another in time",
        detect="Change one sample of a batch. The outputs for the others must not change.",
        fix="Pass `batch_first=True` to nn.LSTM.",
        sources=(TORCH_DOCS + "nn.LSTM.html", FLAX_DOCS + "recurrent.html"),
        symptoms=("outputs differ by a few percent or more", "accuracy differs"),
        calls=("nn.RNN", "nn.LSTM", "nn.GRU", "nnx.RNN"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="prelu_start",
        title="PReLU starts at a slope of 0.25 in PyTorch, 0.01 in Flax",
        what="LeakyReLU has a slope of 0.01 in both. The value at -1:",
        pytorch="nn.PReLU()(torch.tensor([-1.0]))",
        jax="nnx.PReLU()(jnp.array([-1.0]))",
        expect=lambda r: r.pytorch[0] == -0.25 and abs(r.jax[0] + 0.01) < 1e-6,
        size=lambda r: f"{r.pytorch[0]:g} against {r.jax[0]:g}",
        detect="Compare one negative value.",
        fix="Pass `negative_slope_init=0.25` to nnx.PReLU.",
        sources=(TORCH_DOCS + "nn.PReLU.html", FLAX_DOCS + "activations.html"),
        symptoms=(
            "training drifts: the initial weights or random numbers",
            "outputs differ by a few percent or more",
        ),
        calls=("nn.PReLU", "nnx.PReLU"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="dropout_generator",
        title="Dropout needs its own generator in Flax, and uses the global one in PyTorch",
        what="nnx.Dropout without `rngs` raises an error in training. PyTorch draws from the same "
        "generator that shuffles the data, so an additional dropout layer changes the batches.",
        pytorch="torch.manual_seed(0)\nplain = torch.randperm(100)\n"
        "torch.manual_seed(0)\nnn.Dropout(0.5)(torch.ones(1))\n"
        "(torch.randperm(100) != plain).any().item()",
        jax="nnx.Dropout(0.5)(jnp.ones(1))",
        expect=lambda r: r.pytorch is True and r.jax.error == "ValueError",
        size=lambda r: "another order of batches against an error",
        detect="Remove the dropout. The batches must not change.",
        fix="Pass a `generator` to DataLoader; use `nnx.Dropout(rate, rngs=rngs)`.",
        sources=(TORCH_DOCS + "nn.Dropout.html", FLAX_DOCS + "stochastic.html"),
        symptoms=(
            "an error in one framework only",
            "training drifts: the data, dropout or dtype",
        ),
        calls=("nn.Dropout", "nnx.Dropout", "DataLoader", "torch.manual_seed"),
        libraries=("torch", "jax", "flax"),
    ),
    Divergence(
        name="evaluation_mode",
        title="eval() sets training in PyTorch, deterministic and use_running_average in Flax",
        what="Both frameworks build a model in training mode, and a loaded model stays in it: "
        "dropout is on, and BatchNorm uses the statistics of the batch. nnx's eval() does not "
        "change a flag of your own called `training`. The example is a model that doubles its "
        "input in training, after eval():",
        pytorch="class Model(nn.Module):\n"
        "    def forward(self, x):\n        return 2 * x if self.training else x\n\n"
        "Model().eval()(1.0)",
        jax="class Model(nnx.Module):\n"
        "    training = True\n"
        "    def __call__(self, x):\n        return 2 * x if self.training else x\n\n"
        "model = Model()\nmodel.eval()\nmodel(1.0)",
        port="class Model(nnx.Module):\n"
        "    deterministic = False\n"
        "    def __call__(self, x):\n        return x if self.deterministic else 2 * x\n\n"
        "model = Model()\nmodel.eval()\n1.0, model(1.0)",
        expect=lambda r: r.pytorch == 1 and r.jax == 2,
        size=lambda r: f"{r.pytorch:g} against {r.jax:g}",
        detect="Evaluate twice, and with another batch size: the outputs must not change.",
        fix="Call `model.eval()` before evaluation in both. In Flax, call your own flags "
        "`deterministic` or `use_running_average`, or pass them: "
        "`model.eval(training=False)`.",
        sources=(
            TORCH_DOCS + "nn.Module.html",
            "https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/module.html",
        ),
        symptoms=(
            "training mode differs from evaluation",
            "checkpoint loads, outputs differ: right after loading",
            "the result changes from call to call",
            "accuracy differs",
        ),
        calls=(
            *("model.eval", "model.train", "nn.Dropout", "nnx.Dropout"),
            *("nn.BatchNorm1d", "nn.BatchNorm2d", "nnx.BatchNorm"),
        ),
        libraries=("torch", "jax", "flax"),
    ),
)
