"""Bugs around the attention: conversion of parameters, the linear layer, copies."""

from compare.catalogue.records import Bug

TO_FLAX = "https://flax.readthedocs.io/en/stable/migrating/convert_pytorch_to_flax.html"

LAYERS = (
    Bug(
        name="kernel_reshaped",
        title="PyTorch's weight becomes Flax's kernel by a reshape instead of a transpose",
        package="jax_impl",
        file="convert.py",
        right='arrays.pop("out.weight").T',
        wrong='arrays.pop("out.weight").reshape(model.out.kernel.shape)',
        why="The shapes [out, in] and [in, out] do not match, and a reshape is the quickest "
        "way to make them match.",
        sources=(TO_FLAX,),
        check="intermediates",
        intermediate="logits",
    ),
    Bug(
        name="kernel_reshaped_on_the_way_out",
        title="Flax's kernel becomes PyTorch's weight by a reshape instead of a transpose",
        package="jax_impl",
        file="convert.py",
        right="np.asarray(model.out.kernel).T",
        wrong="model.out.kernel.reshape(model.out.kernel.shape[::-1])",
        why="The way in was fixed when the numbers were wrong; the way out affects nothing "
        "until someone loads the checkpoint.",
        sources=(TO_FLAX,),
        check="parameters",
    ),
    Bug(
        name="features_channel_first",
        title="The features are flattened channel by channel",
        package="pytorch_impl",
        file="model.py",
        right="features = attended.reshape(len(x), -1)",
        wrong="features = attended.mT.reshape(len(x), -1)",
        why="PyTorch's own layers have channels first, Flax and Keras have them last: a "
        "linear layer after a flatten expects the order it was trained with.",
        sources=(TO_FLAX,),
        check="intermediates",
        intermediate="logits",
        equivalent="With one channel, channel by channel and step by step are the same order.",
    ),
    Bug(
        name="bias_missing",
        title="The bias of the linear layer is left out",
        package="jax_impl",
        file="model.py",
        right="logits = self.out(features)",
        wrong="logits = features @ self.out.kernel[...]",
        why="The layer is replaced by a matrix product, and the bias starts at zero in Flax: "
        "a new model shows no difference.",
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
        why="A classifier should return probabilities, so it gets a softmax, but "
        "cross_entropy has its own. It still trains, slowly, and the accuracy does not show the "
        "bug.",
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
        why="A log-softmax belongs before nll_loss, and stayed when cross_entropy replaced "
        "it. log_softmax(log_softmax(x)) = log_softmax(x), so loss, gradients and accuracy are "
        "right. Only uses of the logits themselves, such as distillation or calibration, get "
        "other numbers.",
        sources=("https://github.com/speedinghzl/Pytorch-Deeplab/issues/2",),
        check="intermediates",
        intermediate="logits",
    ),
    Bug(
        name="snapshot_aliases_the_model",
        title="A snapshot of the parameters shares their memory",
        package="pytorch_impl",
        file="convert.py",
        right="to_numpy(array).copy()",
        wrong="to_numpy(array)",
        why="state_dict() and numpy() return views of the live parameters, so the best "
        "parameters that were kept are the last ones. When first checked, they are right.",
        sources=(
            "https://github.com/pytorch/pytorch/issues/34765",
            "https://github.com/WenjieDu/PyPOTS/issues/667",
        ),
        check="parameters",
    ),
    Bug(
        name="model_aliases_its_start",
        title="The model shares memory with the parameters that it was made from",
        package="pytorch_impl",
        file="convert.py",
        right="torch.tensor(array, **to)",
        wrong="torch.as_tensor(array, **to)",
        why="as_tensor and from_numpy copy nothing if the dtype is already right: training "
        "changes the caller's array, and a second run from it starts from other numbers.",
        sources=("https://docs.pytorch.org/docs/stable/generated/torch.as_tensor.html",),
        check="parameters",
    ),
    Bug(
        name="numpy_model_aliases_its_start",
        title="The reference shares memory with the parameters that it was made from",
        package="numpy_reference",
        file="convert.py",
        right="np.array(params[name], dtype=dtype)",
        wrong="np.asarray(params[name], dtype=dtype)",
        why="asarray copies only if it has to convert: in float32 it returns a copy, in "
        "float64 the caller's own array.",
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
        why="On a CPU torch.as_tensor and torch.from_numpy copy nothing if the dtype is the "
        "same, and jax.device_put may not either: shuffling the array in place then changes the "
        "training.",
        sources=(
            "https://docs.pytorch.org/docs/stable/generated/torch.as_tensor.html",
            "https://github.com/jax-ml/jax/issues/37830",
        ),
        check="copies",
        form="histogram",
    ),
)
