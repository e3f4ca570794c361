"""The exceptions of auctionsim, one tree: what it refuses, and what it cannot do here.

    AuctionsimError
    ├── InputError             also a ValueError: a value breaks a rule
    │   ├── DamagedFileError   a file of auctionsim's is not what it must be
    │   ├── FileFormError      a file is in none of the forms that are read
    │   ├── UntrustedError     a file would be unpickled, and nothing shows who wrote it
    │   └── PluginError        a plugin does not run
    ├── InputTypeError         also a TypeError: a value is of another kind
    ├── UnsupportedError       also a NotImplementedError: this combination has no rule
    ├── MissingPackageError    also an ImportError: an optional package is not there, or a folder has another name
    ├── FileError              also an OSError: the system refuses a file or folder
    │   ├── MissingFileError   also a FileNotFoundError
    │   ├── ExistingFileError  also a FileExistsError
    │   ├── FolderError        also an IsADirectoryError: a folder stands where a file is wanted
    │   ├── FilePermissionError    also a PermissionError
    │   └── FailedTrialsError  also a ChildProcessError: trials of a study failed
    ├── CallOrderError         also a RuntimeError: a call came before one that it needs
    ├── FailedRunError         also a RuntimeError: something was tried, and did not come about
    │   └── ModelUnavailableError  a language model cannot be loaded
    ├── TooLargeError          also an OverflowError: a number that floats do not hold
    ├── BrokenClaimError       also an AssertionError: a property test found a counterexample
    └── InterruptedCommandError    Ctrl-C ended a command

Every branch is also the built-in exception that fits, so `except ValueError` keeps catching what it names. Whoever
wants all refusals of auctionsim, and nothing of torch's or numpy's, catches `AuctionsimError`; the command line does,
and calls everything else a defect. What Python's own protocols ask for (AttributeError of a module, StopIteration,
NotImplementedError of an abstract method) is no refusal and stays what it is.
"""

__all__ = [
    "AuctionsimError",
    "BrokenClaimError",
    "CallOrderError",
    "DamagedFileError",
    "ExistingFileError",
    "FailedRunError",
    "FailedTrialsError",
    "FileError",
    "FileFormError",
    "FilePermissionError",
    "FolderError",
    "InputError",
    "InputTypeError",
    "InterruptedCommandError",
    "MissingFileError",
    "MissingPackageError",
    "ModelUnavailableError",
    "PluginError",
    "TooLargeError",
    "UnsupportedError",
    "UntrustedError",
]


class AuctionsimError(Exception):
    """The root of what auctionsim raises; its message is one sentence with the value and the rule."""


class InputError(AuctionsimError, ValueError):
    """A value that breaks a rule."""


class DamagedFileError(InputError):
    """A file of auctionsim's that is not what it must be; the message names it."""


class FileFormError(InputError):
    """A file in none of the forms that are read."""


class UntrustedError(InputError):
    """A file that would be unpickled, and nothing shows that this user wrote it on this machine."""


class PluginError(InputError):
    """A plugin that does not run; the message names the file and the line."""


class InputTypeError(AuctionsimError, TypeError):
    """A value of another kind than the rule wants."""


class UnsupportedError(AuctionsimError, NotImplementedError):
    """A combination of things for which there is no rule or no proof."""


class MissingPackageError(AuctionsimError, ImportError):
    """An optional package that is not installed, or a package imported under a name that it does not have."""


class FileError(AuctionsimError, OSError):
    """A file or folder that the system refuses."""


class MissingFileError(FileError, FileNotFoundError):
    """A file or folder that is not there."""


class ExistingFileError(FileError, FileExistsError):
    """A file or folder that is there already and is not replaced."""


class FolderError(FileError, IsADirectoryError):
    """A folder where a file is wanted."""


class FilePermissionError(FileError, PermissionError):
    """A file or folder whose permissions are not those it needs."""


class FailedTrialsError(FileError, ChildProcessError):
    """Trials of a Tune study that failed; the same call tries them again."""


class CallOrderError(AuctionsimError, RuntimeError):
    """A call that came before one that it needs, such as `step` before `reset`."""


class FailedRunError(AuctionsimError, RuntimeError):
    """Something that was tried and did not come about."""


class ModelUnavailableError(FailedRunError):
    """A language model that cannot be loaded; the message says what to do."""


class TooLargeError(AuctionsimError, OverflowError):
    """A number that floats do not hold."""


class BrokenClaimError(AuctionsimError, AssertionError):
    """A counterexample to what is claimed of a mechanism or another part; the message says by which input."""


class InterruptedCommandError(AuctionsimError):
    """A command that Ctrl-C ended.

    Attributes:
        goes_on: The same command goes on where it stopped.
    """

    def __init__(self, goes_on: bool) -> None:
        super().__init__()
        self.goes_on = goes_on
