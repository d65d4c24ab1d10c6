"""Sentences that come as data, from the engine or the database, in the language of the window.

What is known by its words is shown in that language: each title, and each hint that is the same at
every time. What happened stays English: it names files, tensors and figures, and is what a person
looks up or reports.
"""

from __future__ import annotations

from typing import Final

from app.words import Words, joined, now, translate
from engine import protocol

_KNOWN: Final = (
    translate("EngineSentences", "Something went wrong in the engine"),
    translate("EngineSentences", "This model cannot be opened"),
    translate("EngineSentences", "This model is not supported"),
    translate("EngineSentences", "Flash attention was asked for and is not possible here"),
    translate("EngineSentences", "This prompt cannot be sent"),
    translate("EngineSentences", "This setting is not possible"),
    translate("EngineSentences", "There is not enough memory"),
    translate("EngineSentences", "A file could not be read or written"),
    translate("EngineSentences", "The graphics card reported a fault"),
    translate("EngineSentences", "The engine did not understand a command"),
    translate(
        "EngineSentences",
        "`python3 start.py models` lists those that are here; a folder or a .gguf file works too.",
    ),
    translate("EngineSentences", "Choose another one."),
    translate("EngineSentences", "Load the model with its numbers as they are (dtype auto)."),
    translate("EngineSentences", "It was not added."),
    translate("EngineSentences", "Shorten it, or load the model with a longer context."),
    translate("EngineSentences", "Try again; if it happens again, the log file says more."),
    translate("EngineSentences", "Download the file again, or choose another model."),
    translate("EngineSentences", "Choose another model, or another file of this one."),
    translate("EngineSentences", "Set flash attention to auto or off."),
    translate("EngineSentences", "Change the prompt and send it again."),
    translate("EngineSentences", "Choose another value."),
    translate(
        "EngineSentences", "Choose a smaller model or a shorter context, or close other programs."
    ),
    translate(
        "EngineSentences", "Check the free space and the permissions of the folder, then try again."
    ),
    translate("EngineSentences", "The engine starts afresh; load the model again."),
    translate("EngineSentences", "Write something first."),
    translate(
        "EngineSentences",
        "Start a new chat, shorten the prompt, or load the model with a longer context.",
    ),
    translate("EngineSentences", "Allow at least 1 new token."),
    translate(
        "EngineSentences",
        "Free some space on that disk, or check the folder's permissions, then try again.",
    ),
    translate(
        "EngineSentences",
        "Its settings and its weights are of different models: take all files from one place.",
    ),
    translate(
        "EngineSentences",
        "Its other files are missing, or it was published without them: choose a complete one.",
    ),
    translate("EngineSentences", "Download tokenizer.json and tokenizer_config.json into it."),
    translate(
        "EngineSentences",
        "Get the file itself (git lfs pull), or add the model's tokenizer.json to the folder.",
    ),
    translate("EngineSentences", "Choose another file of this model."),
    translate("EngineSentences", "Choose another file."),
    translate("EngineSentences", "Download the model again in a newer conversion."),
    translate(
        "EngineSentences", "The download may have been interrupted: download the file again."
    ),
    translate("EngineSentences", "Choose another model."),
    translate("EngineSentences", "Choose a GGUF file of this model."),
    translate(
        "EngineSentences", "Choose a .gguf file, or a folder with config.json and safetensors."
    ),
    translate("EngineSentences", "Download the little-endian file."),
    translate("EngineSentences", "Download another quantisation of this model, such as Q4_K_M."),
    translate(
        "EngineSentences", "Hearth applies no adapters. Choose a model into which it is merged."
    ),
    translate("EngineSentences", "Choose a file with the weights."),
    translate("EngineSentences", "Choose a model that is made for chats."),
    translate("EngineSentences", "Download the files of one model into a folder of their own."),
    translate("EngineSentences", "Download the file again, or give the files their names back."),
    translate("EngineSentences", "Choose another model, or a newer Hearth."),
    translate("EngineSentences", "Free some space on that disk (about 50 MB), then try again."),
    translate("EngineSentences", "Check the permissions of the file."),
    translate(
        "EngineSentences", "Choose the folder that the model was downloaded to, or a .gguf file."
    ),
    translate("EngineSentences", "Choose the model's original folder, or a quantised .gguf file."),
    translate("EngineSentences", "Put the file itself into the folder."),
    translate(
        "EngineSentences",
        "Choose a model that the adapter was merged into (peft: merge_and_unload).",
    ),
    translate("EngineSentences", "Download the missing files into it."),
    translate("EngineSentences", "Choose a language model's folder."),
    translate("EngineSentences", "Choose one of these."),
    translate(
        "EngineSentences", "Use safetensors: download the model in that format, or as a .gguf file."
    ),
    translate(
        "EngineSentences", "Shorten the prompt, start a new conversation, or choose another model."
    ),
    translate("EngineSentences", "Shorten the text, or choose another model."),
    translate("EngineSentences", "Choose another model, or another copy of this one."),
    translate("EngineSentences", "Start a new conversation, or choose another model."),
    translate("EngineSentences", "Load the model again when no other program writes to that file."),
    translate("EngineSentences", "Check the path, or choose another model."),
    translate("EngineSentences", "Download the model again, or load it in another dtype."),
    translate(
        "EngineSentences",
        "Set the rope_scaling in its config.json to yarn, or choose another model.",
    ),
    translate("EngineSentences", "Free some space on that disk (about 300 MB), then try again."),
    translate("EngineSentences", "Install them again."),
    translate(
        "EngineSentences",
        "Temperature and top-k are 0 or more, top-p is in (0, 1], min-p in [0, 1), "
        "the repetition penalty above 0, the other penalties between -100 and 100.",
    ),
    translate(
        "EngineSentences",
        "Check that the window and the engine come from the same version of Hearth.",
    ),
    translate("EngineSentences", "Choose a model first."),
    translate("EngineSentences", "`python3 start.py doctor` says which one it is and what to do."),
    translate("EngineSentences", "This reply was interrupted"),
    translate("EngineSentences", "Hearth ended while it was written."),
    translate("EngineSentences", "Regenerate it."),
)

_BY_TEXT: Final = {str(words): words for words in _KNOWN}


def shown_sentence(sentence: str) -> str:
    """The sentence in the window's language if it is known, else as it came."""
    return now(_BY_TEXT.get(sentence, sentence))


def as_sentences(error: protocol.Error) -> Words:
    """Title, what happened and what to do, one behind the other."""
    title = joined("", (shown_sentence(error.title), "."))
    return joined(" ", (title, error.detail, shown_sentence(error.hint)))
