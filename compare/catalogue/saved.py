"""Bugs in saving and resuming: in the state, the epoch, or the process."""

from compare.catalogue.records import Bug

BEST = "(np.isnan(epoch.validation.loss), epoch.validation.loss)"

SAVED = (
    Bug(
        name="learning_rate_changes_on_resume",
        title="A run can be resumed with another learning rate, without an error",
        package="shared",
        file="training/resume.py",
        right='CHANGEABLE = {"epochs", ',
        wrong='CHANGEABLE = {"epochs", "learning_rate", ',
        why="Options are given again when a run is resumed, and an omitted one gets its "
        "default. The run then has two rates, and its metrics do not show it.",
        sources=(
            "https://github.com/IntelLabs/distiller/issues/145",
            "https://github.com/pytorch/examples/issues/816",
        ),
        check="saved",
    ),
    Bug(
        name="other_processes_start_anew",
        title="Of several processes only the first resumes; the others start again",
        package="shared",
        file="training/alone.py",
        right="draw_config_params(config), data, config, start=start):",
        wrong="draw_config_params(config), data, config):",
        why="Process 0 reads and writes all files, so it is the one that reads the "
        "checkpoint. From then on, gradients of other parameters are averaged into its own.",
        sources=(
            "https://github.com/facebookresearch/detectron2/issues/1732",
            "https://github.com/allenai/molmo/pull/33",
        ),
        check="saved",
    ),
    Bug(
        name="seconds_lost_on_resume",
        title="The seconds spent so far are not saved in the state",
        package="shared",
        file="training/states.py",
        right="state.adam.step, state.seconds)",
        wrong="state.adam.step, 0.0)",
        why="The state holds what the result depends on, and time is not part of that. An "
        "epoch interrupted late then appears to be the fastest.",
        sources=("https://github.com/chainer/chainer/issues/1602",),
        check="saved",
    ),
    Bug(
        name="nan_is_the_best_epoch",
        title="An epoch with a NaN validation loss stays the best",
        package="shared",
        file="training/records.py",
        right=BEST,
        wrong="epoch.validation.loss",
        why="Python's min keeps its first number if nothing is smaller, and nothing is "
        "smaller than NaN.",
        sources=(
            "https://github.com/Bjarten/early-stopping-pytorch/issues/16",
            "https://docs.python.org/3/library/functions.html#min",
        ),
        check="saved",
    ),
    Bug(
        name="best_epoch_by_accuracy",
        title="The best epoch has the highest accuracy, not the lowest loss",
        package="shared",
        file="training/records.py",
        right=BEST,
        wrong="-epoch.validation.accuracy",
        why="Both are called the best. The original keeps the parameters of the lowest "
        "validation loss; of a few hundred images, several epochs have equally many right.",
        sources=(
            "https://github.com/allenai/deep_qa/issues/199",
            "https://github.com/OpenTabular/DeepTab/issues/425",
        ),
        check="saved",
    ),
    Bug(
        name="best_file_is_the_last_one",
        title="Every epoch overwrites the best parameters",
        package="shared",
        file="training/runs.py",
        right="        if best is epoch:\n",
        wrong="        if best:\n",
        why="The best epoch is found, but then only its existence is checked. The original "
        "has a variant of this bug: its best parameters are the live ones, so the last epoch is "
        "tested.",
        sources=(
            "https://github.com/vanvalenlab/deepcell-tf/pull/435",
            "https://github.com/AlexeyAB/darknet/issues/4387",
        ),
        check="saved",
    ),
)
