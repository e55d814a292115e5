"""Bugs around the attention: weights on their way between frameworks, the linear layer, copies."""

from compare.catalogue.records import Bug

TO_FLAX = "https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html"

LAYERS = (
    Bug(
        name="kernel_reshaped",
        title="PyTorch's weight is converted to Flax's kernel by a reshape instead of a transpose",
        package="jax_impl",
        file="convert.py",
        right='arrays.pop("out.weight").T',
        wrong='arrays.pop("out.weight").reshape(model.out.kernel.shape)',
        why="The shapes [out, in] and [in, out] do not match, and a reshape makes them match.",
        sources=(TO_FLAX,),
        check="intermediates",
        intermediate="logits",
    ),
    Bug(
        name="kernel_reshaped_on_the_way_out",
        title="Flax's kernel is converted to PyTorch's weight by a reshape instead of a transpose",
        package="jax_impl",
        file="convert.py",
        right="np.asarray(model.out.kernel).T",
        wrong="model.out.kernel.reshape(model.out.kernel.shape[::-1])",
        why="The conversion to Flax was fixed because outputs were wrong. The conversion back "
        "causes no wrong output until the checkpoint is loaded.",
        sources=(TO_FLAX,),
        check="parameters",
    ),
    Bug(
        name="features_channel_first",
        title="The features are flattened with the channels first",
        package="pytorch_impl",
        file="model.py",
        right="features = attended.reshape(len(x), -1)",
        wrong="features = attended.mT.reshape(len(x), -1)",
        why="PyTorch's layers put channels first, Flax's and Keras's put them last. A linear "
        "layer after a flatten expects the order that it was trained with.",
        sources=(TO_FLAX,),
        check="intermediates",
        intermediate="logits",
        equivalent="With one channel both orders are the same.",
    ),
    Bug(
        name="bias_missing",
        title="The bias of the linear layer is missing",
        package="jax_impl",
        file="model.py",
        right="logits = self.out(features)",
        wrong="logits = features @ self.out.kernel[...]",
        why="The layer was replaced by a matrix product. The bias starts at zero in Flax, so an "
        "untrained model shows no difference.",
        sources=(
            "https://github.com/google/flax/issues/3019",
            "https://github.com/jax-ml/jax/issues/4862",
        ),
        check="intermediates",
        intermediate="logits",
    ),
    Bug(
        name="probabilities_for_logits",
        title="The model ends in a softmax, and the loss applies another",
        package="pytorch_impl",
        file="model.py",
        right="logits = self.out(features)",
        wrong="logits = softmax(self.out(features), dim=-1)",
        why="A classifier should return probabilities, so a softmax was added. But cross_entropy "
        "already contains one. The model trains slowly, and the accuracy does not show the bug.",
        sources=(
            "https://github.com/Lightning-Universe/lightning-bolts/issues/654",
            "https://github.com/ariecattan/SciCo/issues/2",
        ),
        check="intermediates",
        intermediate="logits",
    ),
    Bug(
        name="log_probabilities_for_logits",
        title="The model ends in a log-softmax, which does not change the loss",
        package="jax_impl",
        file="model.py",
        right="logits = self.out(features)",
        wrong="logits = jax.nn.log_softmax(self.out(features))",
        why="A log-softmax is needed before nll_loss, and it remained when cross_entropy replaced "
        "nll_loss. Since log_softmax(log_softmax(x)) = log_softmax(x), the loss, the gradients "
        "and the accuracy are right. Only the logits are wrong, which matters for distillation or "
        "calibration.",
        sources=("https://github.com/speedinghzl/Pytorch-Deeplab/issues/2",),
        check="intermediates",
        intermediate="logits",
    ),
    Bug(
        name="snapshot_aliases_the_model",
        title="A snapshot of the weights shares their memory",
        package="pytorch_impl",
        file="convert.py",
        right="to_numpy(array).copy()",
        wrong="to_numpy(array)",
        why="state_dict() and numpy() return views of the current weights. The weights stored as "
        "the best are therefore the last ones. A check directly after the snapshot passes.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/34765",
            "https://github.com/WenjieDu/PyPOTS/issues/667",
        ),
        check="parameters",
    ),
    Bug(
        name="model_aliases_its_start",
        title="The model shares memory with the weights it was created from",
        package="pytorch_impl",
        file="convert.py",
        right="torch.tensor(array, **to)",
        wrong="torch.as_tensor(array, **to)",
        why="as_tensor and from_numpy do not copy if the dtype matches. Training then changes the "
        "caller's array, and a second run starts from other weights.",
        sources=("https://docs.pytorch.org/docs/stable/generated/torch.as_tensor.html",),
        check="parameters",
    ),
    Bug(
        name="numpy_model_aliases_its_start",
        title="The NumPy model shares memory with the weights it was created from",
        package="numpy_reference",
        file="convert.py",
        right="np.array(params[name], dtype=dtype)",
        wrong="np.asarray(params[name], dtype=dtype)",
        why="asarray copies only if it has to convert. In float32 it copies; in float64 it "
        "returns the caller's array.",
        sources=("https://numpy.org/doc/stable/reference/generated/numpy.asarray.html",),
        check="parameters",
    ),
    Bug(
        name="labels_alias_the_caller",
        title="The labels on the device share the caller's memory",
        package="pytorch_impl",
        file="convert.py",
        right="targets = torch.tensor(labels, device=model.K.device)",
        wrong="targets = torch.as_tensor(labels, device=model.K.device)",
        why="On a CPU, torch.as_tensor and torch.from_numpy do not copy if the dtype matches, and "
        "jax.device_put may not copy either. If the caller shuffles the array in place, training "
        "changes.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.as_tensor.html",
            "https://github.com/jax-ml/jax/issues/37830",
        ),
        check="copies",
        form="histogram",
    ),
)
