"""Bugs in what is saved and resumed: which state, which epoch, and by whom."""

from compare.catalogue.records import Bug

BEST = "(np.isnan(epoch.validation.loss), epoch.validation.loss)"

SAVED = (
    Bug(
        name="learning_rate_changes_on_resume",
        title="A run may be resumed at another learning rate, without a word",
        package="shared",
        file="training/resume.py",
        right='CHANGEABLE = {"epochs", ',
        wrong='CHANGEABLE = {"epochs", "learning_rate", ',
        why="Options are given again when a run is resumed, and a default that is not given is "
        "another number. One run is then two, and its metrics do not say so.",
        sources=(
            "https://github.com/IntelLabs/distiller/issues/145",
            "https://github.com/pytorch/examples/issues/816",
        ),
        check="saved",
    ),
    Bug(
        name="other_processes_start_anew",
        title="Of several processes the first alone resumes; the others begin anew",
        package="shared",
        file="training/alone.py",
        right="draw_config_params(config), data, config, start=start):",
        wrong="draw_config_params(config), data, config):",
        why="Process 0 reads and writes all files, and so it is the one that reads the checkpoint. "
        "Gradients of other parameters are averaged into its own from then on.",
        sources=(
            "https://github.com/facebookresearch/detectron2/issues/1732",
            "https://github.com/allenai/molmo/pull/33",
        ),
        check="saved",
    ),
    Bug(
        name="seconds_lost_on_resume",
        title="The seconds spent so far are not saved with the state",
        package="shared",
        file="training/states.py",
        right="state.adam.step, state.seconds)",
        wrong="state.adam.step, 0.0)",
        why="What is saved is what the result depends on, and time is no part of that. An epoch "
        "that was interrupted late is then the fastest of all.",
        sources=("https://github.com/chainer/chainer/issues/1602",),
        check="saved",
    ),
    Bug(
        name="nan_is_the_best_epoch",
        title="An epoch whose validation loss is NaN stays the best",
        package="shared",
        file="training/records.py",
        right=BEST,
        wrong="epoch.validation.loss",
        why="Python's min keeps its first number where nothing is smaller, and nothing is smaller "
        "than NaN.",
        sources=(
            "https://github.com/Bjarten/early-stopping-pytorch/issues/16",
            "https://docs.python.org/3/library/functions.html#min",
        ),
        check="saved",
    ),
    Bug(
        name="best_epoch_by_accuracy",
        title="The best epoch is the one of the highest accuracy, not of the lowest loss",
        package="shared",
        file="training/records.py",
        right=BEST,
        wrong="-epoch.validation.accuracy",
        why="Both are called the best. The original keeps the parameters of the lowest validation "
        "loss; of a few hundred images, several epochs get equally many right.",
        sources=(
            "https://github.com/allenai/deep_qa/issues/199",
            "https://github.com/OpenTabular/DeepTab/issues/425",
        ),
        check="saved",
    ),
    Bug(
        name="best_file_is_the_last_one",
        title="Every epoch is written over the best parameters",
        package="shared",
        file="training/runs.py",
        right="        if best is epoch:\n",
        wrong="        if best:\n",
        why="The best epoch is found, and then only asked whether there is one. The original has "
        "this in another way: its best parameters are the live ones, and the last epoch is tested.",
        sources=(
            "https://github.com/vanvalenlab/deepcell-tf/pull/435",
            "https://github.com/AlexeyAB/darknet/issues/4387",
        ),
        check="saved",
    ),
)
