"""Keys of a spec that do not go together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lossgen.diagnostics.diagnostic import Report
from lossgen.diagnostics.source import Span
from lossgen.frontend.reader import Kind, Mapping, Node, Scalar, Sequence, shorten

_OPEN_UNIT = ("probability", "(0,1)", "0<y_pred<1", "1>y_pred>0")
_LOGITS_DOMAINS = {"sigmoid": _OPEN_UNIT, "softmax": ("simplex",)}


WITH_CHANNELS = {
    "domain": "give each channel its own",
    "size": "give each channel its own",
    "logits": "declare the channel `real`, and write the formula in its logits: with "
    "`log_sigmoid(u)`, `softplus(u)`, or `log_softmax(u, axis=last)`",
    "sparse": "a channel takes no indices: give `fit` one-hot labels, and declare the "
    "channel `{domain: one_hot, size: K}`",
}
"""Key of a tensor → what to do instead where the tensor has channels."""


def report_conflicts(document: Mapping, report: Report) -> None:
    """Report the keys of a document that exclude or need one another.

    Args:
        document: A document; values of a wrong type are passed over.
        report: Takes the conflicts.
    """
    top = _Keys.of(document)
    y_true, y_pred = (
        _Keys.of(top.values.get("y_true")),
        _Keys.of(top.values.get("y_pred")),
    )
    _check_unused(top, y_true, y_pred, report)
    for tensor in (y_true, y_pred):
        _check_channels(tensor, report)
    _check_sparse(top, y_true, report)
    _check_logits(y_pred, report)
    _check_defaults(top, report)


@dataclass(frozen=True)
class _Keys:
    """The keys and values of a mapping. A lone value is the domain."""

    keys: dict[str, Span]
    values: dict[str, Node]

    @classmethod
    def of(cls, node: Node | None) -> _Keys:
        if node is None:
            return cls({}, {})
        if not isinstance(node, Mapping) or node.is_set:
            return cls({"domain": node.span}, {"domain": node})
        return cls(
            {key.text.value: key.span for key, _ in node.entries},
            {key.text.value: value for key, value in node.entries},
        )

    def text(self, name: str) -> str:
        """A value without its spaces."""
        node = self.values.get(name)
        return re.sub(r"\s", "", node.text.value) if isinstance(node, Scalar) else ""

    def is_true(self, name: str) -> bool:
        node = self.values.get(name)
        flag = isinstance(node, Scalar) and node.kind is Kind.BOOLEAN
        return flag and self.text(name).lower() == "true"


def _check_unused(top: _Keys, y_true: _Keys, y_pred: _Keys, report: Report) -> None:
    if y_pred.text("domain") == "unused":
        message = "only `y_true` can be unused"
        report.add("LG111", message, y_pred.values["domain"].span)
    if y_true.text("domain") != "unused":
        return
    for name, span in y_true.keys.items():
        if name not in ("domain", "description"):
            message = f"`{name}` has no meaning where y_true is unused"
            report.add("LG111", message, span)
    if "mask" in top.keys:
        message = "`mask` is a condition on y_true, which is unused"
        report.add("LG111", message, top.keys["mask"])


def _check_channels(tensor: _Keys, report: Report) -> None:
    if "channels" not in tensor.keys:
        return
    for name in ("domain", "size", "sparse", "logits"):
        if name in tensor.keys:
            message = f"`{name}` and `channels` do not go together"
            remedy = WITH_CHANNELS.get(name)
            report.add("LG111", message, tensor.keys[name], help=remedy)


def _check_sparse(top: _Keys, y_true: _Keys, report: Report) -> None:
    sparse = y_true.is_true("sparse")
    if sparse and y_true.text("domain") != "one_hot":
        message = "`sparse` takes class indices in place of a `one_hot` y_true"
        report.add(
            "LG111", message, y_true.keys["sparse"], help="declare `domain: one_hot`"
        )
    if "ignore" in y_true.keys and not sparse:
        message = "`ignore` is a class index, and y_true is not `sparse`"
        remedy = "add `sparse: true`, or write a `mask`"
        report.add("LG111", message, y_true.keys["ignore"], help=remedy)
    if sparse and y_true.is_true("gradient"):
        message = "class indices have no gradient"
        report.add("LG111", message, y_true.keys["gradient"])


def _check_logits(y_pred: _Keys, report: Report) -> None:
    logits = y_pred.text("logits")
    domains = _LOGITS_DOMAINS.get(logits)
    if not domains or "channels" in y_pred.keys:
        return
    if y_pred.text("domain") not in domains:
        message = f"`logits: {logits}` gives y_pred the domain `{domains[0]}`"
        remedy = f"declare `domain: {domains[0]}`"
        report.add("LG111", message, y_pred.keys["logits"], help=remedy)


def _check_defaults(top: _Keys, report: Report) -> None:
    params = top.values.get("params")
    for key, value in params.entries if isinstance(params, Mapping) else ():
        parameter = _Keys.of(value) if isinstance(value, Mapping) else None
        default = parameter.values.get("default") if parameter else value
        shaped = parameter is not None and "shape" in parameter.keys
        if isinstance(default, Sequence) and not shaped:
            name = shorten(key.text.value)
            message = f"the default of `{name}` is a list, and it has no `shape`"
            remedy = "add `shape: last` or `shape: elements`"
            report.add("LG111", message, default.span, help=remedy)
