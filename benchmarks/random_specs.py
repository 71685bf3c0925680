"""Random specs of the whole language, most of which a check accepts.

Each is a mapping of a spec's keys; `written` gives its text. The same number and seed
give the same spec. Formulas are drawn by what is known of their sign, so that most
logarithms, roots and quotients are defined; some are not, and those are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Spec = dict[str, Any]

SIZE = "K"
"""The named size that channels have."""

AXES = ("last", "last", "last", "sample", "batch", "spatial")

_TARGETS = {
    "real": "real",
    "positive": "positive",
    "nonnegative": "positive or 0",
    "unit": "positive or 0",
    "binary": "positive or 0",
    "sign": "real",
    "count": "positive or 0",
    "[-1, 2]": "real",
    "{0, 1, 2}": "positive or 0",
    "one_hot": "positive or 0",
    "simplex": "positive or 0",
}
"""What y_true may be, and its sign."""

_PREDICTIONS = {
    "real": "real",
    "positive": "positive",
    "nonnegative": "positive or 0",
    "probability": "positive",
    "unit": "positive or 0",
    "simplex": "positive",
    "(-2, 1)": "real",
    "[1, 3)": "positive",
}

_REAL = (
    "tanh({r})",
    "sin({r})",
    "cos({r})",
    "atan({r})",
    "asinh({r})",
    "erf({r})",
    "log_cosh({r})",
    "softplus({r})",
    "log_sigmoid({r})",
    "normal_cdf({r})",
    "normal_logcdf({r})",
    "erfc({r})",
    "i0e({r})",
    "expm1({r})",
    "acos(0.9*tanh({r}))",
    "log2({p})",
    "log10({p})",
    "sinh({r}/3)",
    "-{r}",
    "stop_gradient({r})",
    "stop_gradient({p})*{r}",
    "square({r})",
    "{r}**2",
    "({r})**3",
    "log({p})",
    "log({p})",
    "lgamma({p})",
    "digamma({p})",
    "1/{p}",
    "({r} + {r})",
    "({r} - {r})",
    "({r} - {r})",
    "{r}*{r}",
    "{p}*{r}",
    "({r})/{p}",
    "logaddexp({r}, {r})",
    "xlogy({p}, {p})",
    "xlog1py({p}, square({r}))",
)
_KINKED = (
    "abs({r})",
    "relu({r})",
    "max({r}, {r})",
    "min({r}, {r})",
    "max({r}, {r}, 0)",
    "clip({r}, -1, 1)",
    "acos(clip({r}, -0.9, 0.9))",
    "where({d}, {r}, {r})",
    "({r} if {d} else {r})",
)
_POSITIVE = (
    "exp({r})",
    "exp(-{r})",
    "(1 + square({r}))",
    "(1 + abs({r}))",
    "softplus({r})",
    "sigmoid({r})",
    "cosh({r}/2)",
    "sqrt({p})",
    "({p} + {p})",
    "{p}*{p}",
    "{p}/{p}",
    "{p}**1.5",
    "({p} + square({r}))",
)
_JOINED = (
    "where({0} > 0, {0}, 0.5*{0})",
    "(square({0})/2 if abs({0}) <= 1 else abs({0}) - 0.5)",
    "where({0} < 1, square({0}), 2*{0} - 1)",
    "max({0}, 0.25*{0})",
)
"""Branches whose pieces meet."""
_DATA = (
    "{0} > 0",
    "{0} <= 1",
    "0 < {0} < 2",
    "not {0} >= 1",
    "{0} == 1",
    "{0} != 0 and {0} < 3",
    "{0} > 2 or {0} < 0.5",
)
_COLLAPSING = ("sum", "mean", "max", "min", "norm", "logsumexp", "var", "std")
_ALONG = (
    "softmax({r}, axis={axis})",
    "log_softmax({r}, axis={axis})",
    "cumsum({r}, axis={axis})",
    "logcumsumexp({r}, axis={axis})",
    "l2_normalize({p}, axis={axis})",
)
_LABELLED = (
    "-sum({t}*log_softmax({r}, axis=last), axis=last)",
    "-sum({t}*{r}, axis=last)",
    "sum({t}*square({r} - {t}), axis=last)",
    "sum({t}*{r}*{t} + (1 - {t})*{p}, axis=last)",
    "log(sum({t}*{p}, axis=last) + 1)",
    "sum({t}*(1 - {t}*{r})**2, axis=last)",
    "max({r} - 3*{t}, axis=last) + sum({t}*{r}, axis=last)",
    "-sum({t}*log_softmax({r} - 0.5*{t}, axis=last), axis=last)",
    "sum({t}*square({r} - mean((1 - {t})*{r}, axis=last)), axis=last)",
    "sum({t}*cumsum({t}*{r}, axis=last), axis=last)",
    "norm({r} - {t}, axis=last)",
)
"""Around labels of classes."""


def random_specs(count: int, seed: int = 0) -> Iterator[Spec]:
    """So many specs, each with a name of its own."""
    for number in range(count):
        yield _Draw(Random(f"{seed} {number}")).spec(f"random_{seed}_{number}")


def written(spec: Spec) -> str:
    """The YAML of a spec."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in spec.items())


def twins(spec: Spec) -> Iterator[tuple[str, Spec]]:
    """Specs of the same loss, each with what is different."""
    target, prediction = spec["y_true"], spec["y_pred"]
    loss = spec["loss"]
    if "sparse" in target and "ignore" not in target:
        yield "dense labels", {**spec, "y_true": {"domain": "one_hot"}}
    if "where" in spec:
        inlined = dict(spec)
        for name, part in inlined.pop("where").items():
            inlined["loss"] = re.sub(rf"\b{name}\b", f"({part})", loss)
        yield "names written out", inlined
    if "channels" in prediction:
        turned = {"channels": dict(reversed(prediction["channels"].items()))}
        if "channels" in target:
            target = {"channels": dict(reversed(target["channels"].items()))}
        yield "channels in another order", {**spec, "y_true": target, "y_pred": turned}
    shifted = re.sub(r"softmax\(", "softmax(1.5 + ", loss)
    if shifted != loss:
        yield "a constant under softmax", {**spec, "loss": shifted}


class _Draw:
    """One spec, drawn key by key."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._reals: list[str] = []
        self._positives: list[str] = []
        self._targets: list[str] = []
        self._predictions: list[str] = []
        self._params: dict[str, Any] = {}
        self._axes: Sequence[str] = AXES
        self._draws_axes = random.random() < 0.6

    def spec(self, name: str) -> Spec:
        """The keys in the order of the documentation."""
        spec: Spec = {"name": name, "loss": ""}
        spec |= self._tensors()
        self._parameters()
        loss = self._whole()
        where = self._named(loss)
        mask = self._mask(spec)
        if not any(_uses(loss, target) for target in self._targets):
            spec["y_true"], mask = "unused", ""
        text = f"{loss} {mask}"
        params = {key: v for key, v in self._params.items() if _uses(text, key)}
        spec["loss"] = _replaced(loss, where)
        if "where(" in loss and self._often(0.2):
            spec["smoothness"] = "discontinuous"
        for key, value in (("where", where), ("mask", mask), ("params", params)):
            if value:
                spec[key] = value
        return spec

    # Tensors ----------------------------------------------------------------------

    def _tensors(self) -> Spec:
        plain, classes = self._plain, self._classes
        kinds = (plain, plain, plain, classes, classes, self._channels, self._sized)
        return self._chosen(kinds)()

    def _plain(self) -> Spec:
        target = self._chosen([key for key in _TARGETS if key != "one_hot"])
        domain = self._chosen(list(_PREDICTIONS))
        self._adds("y_true", _TARGETS[target], self._targets)
        self._adds("y_pred", _PREDICTIONS[domain], self._predictions)
        logits = {"probability": "sigmoid", "simplex": "softmax"}.get(domain)
        if logits and self._often(0.5):
            return {
                "y_true": target,
                "y_pred": {"domain": domain, "logits": logits},
            }
        return {"y_true": target, "y_pred": domain}

    def _classes(self) -> Spec:
        """One-hot labels, most of them as indices."""
        target: Spec = {"domain": "one_hot"}
        if self._often(0.7):
            target["sparse"] = True
            if self._often(0.4):
                target["ignore"] = self._chosen((-1, 255))
        domain = self._chosen(("real", "real", "simplex", "probability", "positive"))
        prediction: Spec = {"domain": domain}
        if domain == "simplex" and self._often(0.7):
            prediction["logits"] = "softmax"
        self._adds("y_true", "positive or 0", self._targets)
        self._adds("y_pred", _PREDICTIONS[domain], self._predictions)
        return {"y_true": target, "y_pred": prediction}

    def _channels(self) -> Spec:
        """Channels of y_pred, and perhaps of y_true, of one length."""
        names = ("mean", "spread", "shape")[: self._random.randint(2, 3)]
        channels = {name: self._channel(name, self._predictions) for name in names}
        if self._often(0.5):
            target: Any = self._chosen(("real", "positive", "count", "unit"))
            self._adds("y_true", _TARGETS[target], self._targets)
        else:
            drawn = {n: self._channel(n, self._targets) for n in ("value", "weight")}
            target = {"channels": drawn}
        return {"y_true": target, "y_pred": {"channels": channels}}

    def _channel(self, name: str, tensor: list[str]) -> str:
        drawn = ("real", "real", "positive", "unit")
        domain = self._chosen(drawn)
        self._adds(name, _PREDICTIONS[domain], tensor)
        return domain

    def _sized(self) -> Spec:
        """Channels of declared sizes, one of them of length 1."""
        self._axes = ("last",)
        self._adds("target", "real", self._targets)
        domain = self._chosen(("real", "positive", "probability"))
        self._adds("score", _PREDICTIONS[domain], self._predictions)
        self._adds("level", "real", self._predictions)
        size = self._chosen((SIZE, 4))
        if size == SIZE:
            self._positives.append(SIZE)
        score = {"domain": domain, "size": size}
        return {
            "y_true": {"channels": {"target": {"size": size}}},
            "y_pred": {"channels": {"score": score, "level": {"size": 1}}},
        }

    def _adds(self, name: str, sign: str, tensor: list[str]) -> None:
        tensor.append(name)
        self._reals.append(name)
        if sign == "positive":
            self._positives.append(name)
        elif sign == "positive or 0":
            self._positives.append(f"(0.1 + {name})")

    def _parameters(self) -> None:
        self._params = {
            "a": {"default": 1.5, "domain": "positive"},
            "b": {"default": 0.5, "domain": "[0, 1]"},
            "c": {"domain": "real"} if self._often(0.3) else 0.25,
        }
        if self._axes == AXES:
            shape = self._chosen(("last", "elements"))
            self._params["w"] = {"default": 1.5, "domain": "positive", "shape": shape}
        chosen = self._random.sample(sorted(self._params), self._random.randint(0, 2))
        self._params = {name: self._params[name] for name in chosen}
        self._reals += chosen
        self._positives += [name for name in chosen if name in "aw"]

    def _mask(self, spec: Spec) -> str:
        target = spec["y_true"]
        if self._axes != AXES or self._often(0.75):
            return ""
        if isinstance(target, str):
            return self._chosen(("y_true != -1", "is_finite(y_true)", "y_true >= 0"))
        if "channels" in target:
            name = self._chosen(sorted(target["channels"]))
            return self._chosen((f"{name} >= 0", f"is_finite({name})"))
        self._params["allowed"] = {"default": 1.0, "shape": "last"}
        return "allowed > 0"

    # Formulas ---------------------------------------------------------------------

    def _whole(self) -> str:
        """A formula that uses a prediction, and does not lie flat."""
        size = self._random.randint(2, 6)
        kind = self._random.random()
        if kind < 0.35 and self._targets == ["y_true"] and self._axes == AXES:
            form = self._chosen(_LABELLED)
            formula = self._filled(form, size, t="y_true")
        elif kind < 0.75:
            formula = self._reduced(size)
            if self._often(0.4):
                formula = f"{formula} + {self._of_sign('r', 2)}"
        else:
            formula = self._of_sign("r", size)
        used = [name for name in self._predictions if _uses(formula, name)]
        if not used or self._often(0.3):
            pair = self._chosen(self._predictions), self._chosen(self._targets)
            formula = "{} + 0.25*({} - {})**2".format(formula, *pair)
        channels = self._predictions[1:] and [*self._predictions, *self._targets]
        for name in channels:
            if not _uses(formula, name):
                formula = f"{formula} + 0.5*{name}*{self._atom('r')}"
        if self._axes != AXES and "axis=" not in formula:
            formula = f"mean({formula}, axis=last)"
        return formula

    def _reduced(self, size: int) -> str:
        axis = self._chosen(self._axes)
        inner = self._of_sign("r", size)
        return f"{self._chosen(_COLLAPSING)}({inner}, axis={axis})"

    def _of_sign(self, sign: str, size: int) -> str:
        """A formula with about so many operations; sign ``p`` is for positive ones."""
        if size <= 0:
            return self._atom(sign)
        if sign == "p":
            known = self._positives
            forms = _POSITIVE if not known or self._often(0.7) else ("{p}",)
            return self._filled(self._chosen(forms), size)
        kind = self._random.random()
        if kind < 0.15 and self._draws_axes:
            return self._reduced(size - 1)
        if kind < 0.22 and self._draws_axes:
            axis = self._chosen(self._axes)
            return self._filled(self._chosen(_ALONG), size, axis=axis)
        if kind < 0.3:
            return self._chosen(_JOINED).format(self._of_sign("r", min(size - 1, 1)))
        if kind < 0.5:
            return self._filled(self._chosen(_KINKED), size)
        return self._filled(self._chosen(_REAL), size)

    def _filled(self, form: str, size: int, **known: str) -> str:
        """A form with formulas in its places, which share the operations."""
        places = form.count("{r}") + form.count("{p}")
        left = max(size - 1, 0)

        def drawn(match: re.Match[str]) -> str:
            name = match[1]
            if name == "d":
                return self._condition()
            if name not in "rp":
                return known[name]
            part = left if places == 1 else self._random.randint(0, left // 2)
            return self._of_sign(name, part)

        return re.sub(r"{(\w+)}", drawn, form)

    def _condition(self) -> str:
        """What labels and parameters decide."""
        scalars = [name for name in self._params if name != "w"]
        return self._chosen(_DATA).format(self._chosen([*self._targets, *scalars]))

    def _atom(self, sign: str) -> str:
        if sign == "p":
            return self._chosen(self._positives or [f"exp({self._predictions[0]})"])
        if self._often(0.3):
            pair = self._chosen(self._predictions), self._chosen(self._targets)
            return "({} - {})".format(*pair)
        return self._chosen([*self._reals, *self._predictions])

    def _named(self, loss: str) -> dict[str, str]:
        """A part of the formula under a name, where there is one to be had."""
        parts = [part for part in _groups(loss) if any(map(str.isalpha, part))]
        return {"part": self._chosen(parts)} if parts and self._often(0.4) else {}

    def _chosen(self, items: Sequence[T]) -> T:
        return self._random.choice(items)

    def _often(self, share: float) -> bool:
        return self._random.random() < share


def _groups(formula: str) -> list[str]:
    """What stands in parentheses that group, and are not those of a call."""
    found, starts = [], []
    for place, sign in enumerate(formula):
        if sign == "(":
            starts.append(place)
        elif sign == ")":
            start = starts.pop()
            called = start and formula[start - 1].isalnum()
            if not called:
                found.append(formula[start : place + 1])
    return found


def _replaced(formula: str, where: dict[str, str]) -> str:
    for name, part in where.items():
        formula = re.sub(rf"(?<!\w){re.escape(part)}", name, formula)
    return formula


def _uses(formula: str, name: str) -> bool:
    """Whether a name stands in it; functions have names of their own."""
    return re.search(rf"\b{name}\b(?!\()", formula) is not None
