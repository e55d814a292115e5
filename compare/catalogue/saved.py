"""Bugs in what is saved and resumed: which state, which epoch, and by whom."""

from compare.catalogue.records import Bug

BEST = "(np.isnan(epoch.validation.loss), epoch.validation.loss)"

SAVED = (
    Bug(
        name="learning_rate_changes_on_resume",
        title="A run can be resumed with another learning rate without a message",
        package="shared",
        file="training/resume.py",
        right='CHANGEABLE = {"epochs", ',
        wrong='CHANGEABLE = {"epochs", "learning_rate", ',
        why="Options are parsed again on resume, and a missing option gets its default. The run "
        "then consists of two different parts, and its metrics do not show this.",
        sources=(
            "https://github.com/IntelLabs/distiller/issues/145",
            "https://github.com/pytorch/examples/issues/816",
        ),
        check="saved",
    ),
    Bug(
        name="other_processes_start_anew",
        title="Only the first of several processes resumes, the others start again",
        package="shared",
        file="training/alone.py",
        right="draw_config_params(config), data, config, start=start):",
        wrong="draw_config_params(config), data, config):",
        why="Process 0 reads and writes all files, so only it reads the checkpoint. It then "
        "averages its gradients with those of other parameters.",
        sources=(
            "https://github.com/facebookresearch/detectron2/issues/1732",
            "https://github.com/allenai/molmo/pull/33",
        ),
        check="saved",
    ),
    Bug(
        name="seconds_lost_on_resume",
        title="The checkpoint does not contain the elapsed time",
        package="shared",
        file="training/states.py",
        right="state.adam.step, state.seconds)",
        wrong="state.adam.step, 0.0)",
        why="A checkpoint contains what the result depends on, and the time is not part of it. An "
        "epoch that is interrupted late then seems to be the fastest.",
        sources=("https://github.com/chainer/chainer/issues/1602",),
        check="saved",
    ),
    Bug(
        name="nan_is_the_best_epoch",
        title="An epoch with a validation loss of NaN remains the best",
        package="shared",
        file="training/records.py",
        right=BEST,
        wrong="epoch.validation.loss",
        why="Python's min keeps its first number if no other is smaller, and no number is smaller "
        "than NaN.",
        sources=(
            "https://github.com/Bjarten/early-stopping-pytorch/issues/16",
            "https://docs.python.org/3/library/functions.html#min",
        ),
        check="saved",
    ),
    Bug(
        name="best_epoch_by_accuracy",
        title="The best epoch is the one with the highest accuracy instead of the lowest loss",
        package="shared",
        file="training/records.py",
        right=BEST,
        wrong="-epoch.validation.accuracy",
        why="Both are called the best epoch. The original keeps the parameters with the lowest "
        "validation loss. With a few hundred images, several epochs have the same accuracy.",
        sources=(
            "https://github.com/allenai/deep_qa/issues/199",
            "https://github.com/OpenTabular/DeepTab/issues/425",
        ),
        check="saved",
    ),
    Bug(
        name="best_file_is_the_last_one",
        title="The file of the best parameters is overwritten in every epoch",
        package="shared",
        file="training/runs.py",
        right="        if best is epoch:\n",
        wrong="        if best:\n",
        why="The code finds the best epoch, but then checks only that one exists. The original "
        "has a similar bug: it keeps a reference to the current parameters, so it tests the last "
        "epoch.",
        sources=(
            "https://github.com/vanvalenlab/deepcell-tf/pull/435",
            "https://github.com/AlexeyAB/darknet/issues/4387",
        ),
        check="saved",
    ),
)
