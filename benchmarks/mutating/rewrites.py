"""Modules that compute the same loss in another way, which its test has to pass.

Each is as accurate as the module that it was made of: over whole domains values and
gradients are a few units in the last place apart, but where a product falls below the
normal range. A formula that loses digits is no correct rewrite. So log(cosh(x)) is not
written with a softplus here, nor a cross-entropy with the difference of two large
terms; and the sum of poisson's terms has one order only in which its gradient is exact.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rewrite:
    """Pieces of a generated module, and what takes their place."""

    loss: str
    what: str
    pairs: tuple[tuple[str, str], ...]

    def applied(self, text: str) -> str:
        """The module rewritten.

        Raises:
            ValueError: If a piece is not there, or more than once: the generator writes
                it otherwise by now, and so has the rewrite to be.
        """
        for old, new in self.pairs:
            if text.count(old) != 1:
                raise ValueError(f"{self.loss} has {text.count(old)} times: {old}")
            text = text.replace(old, new)
        return text


REWRITES = (
    Rewrite(
        "huber",
        "a clipped residual in place of a choice",
        (
            (
                """values = tf.where(
        abs_residual <= delta,
        tf.square(residual) / 2,
        delta * (abs_residual - delta / 2),
    )
""",
                """near = tf.minimum(abs_residual, delta)
    values = near * (abs_residual - near / 2)
""",
            ),
        ),
    ),
    Rewrite(
        "huber",
        "the residual's sign turned, a local renamed",
        (
            ("residual = y_true - y_pred\n", "error = y_pred - y_true\n"),
            ("abs_residual = tf.abs(residual)\n", "abs_residual = tf.abs(error)\n"),
            ("tf.square(residual) / 2,\n", "0.5 * tf.square(error),\n"),
        ),
    ),
    Rewrite(
        "log_cosh_error",
        "the product of two expm1 in place of a squared sinh",
        (
            (
                "tf.math.log1p(2 * tf.square(tf.sinh(near / 2)))",
                "tf.math.log1p(-tf.math.expm1(near) * tf.math.expm1(-near) / 2)",
            ),
        ),
    ),
    Rewrite(
        "log_cosh_error",
        "automatic differentiation in place of the gradient given",
        (
            ("@tf.custom_gradient\ndef _log_cosh(", "def _log_cosh("),
            # What is 0 near 0 has no part in the gradient there.
            ("+ (tf.abs(x) - near)", "+ tf.nn.relu(tf.abs(x) - far)"),
            ("return value, lambda upstream: _tanh(x) * upstream", "return value"),
        ),
    ),
    Rewrite(
        "binary_crossentropy",
        "softplus in place of log_sigmoid",
        (
            ("values = -(\n        ", "values = (\n        "),
            (
                "y_true * tf.math.log_sigmoid(y_pred)\n",
                "y_true * tf.nn.softplus(-y_pred)\n",
            ),
            (
                "+ (1 - y_true) * tf.math.log_sigmoid(-y_pred)\n",
                "+ (1 - y_true) * tf.nn.softplus(y_pred)\n",
            ),
        ),
    ),
    Rewrite(
        "categorical_crossentropy",
        "signs moved into the sum",
        (
            (
                "-tf.reduce_sum(y_true * _log_softmax(y_pred, axis=-1), axis=-1)",
                "tf.reduce_sum(-y_true * _log_softmax(y_pred, axis=-1), axis=-1)",
            ),
        ),
    ),
    Rewrite(
        "dice",
        "einsum in place of the sum of a product",
        (
            (
                "overlap = tf.reduce_sum(y_true * y_pred, axis=sample_axes)\n",
                """size = tf.reduce_prod(tf.shape(y_pred)[1:])
    rows = [tf.reshape(tensor, [-1, size]) for tensor in (y_true, y_pred)]
    overlap = tf.einsum("bi,bi->b", *rows)
""",
            ),
        ),
    ),
    Rewrite(
        "mean_squared_error",
        "a product in place of a square",
        (
            (
                "values = tf.square(y_true - y_pred)\n",
                "residual = y_true - y_pred\n    values = residual * residual\n",
            ),
        ),
    ),
    Rewrite(
        "mean_squared_error",
        "a sum over the length in place of a mean",
        (
            (
                "return tf.reduce_mean(values, axis=-1)\n",
                "length = tf.cast(tf.shape(values)[-1], values.dtype)\n"
                "    return tf.reduce_sum(values, axis=-1) / length\n",
            ),
        ),
    ),
    Rewrite(
        "gaussian_nll",
        "halves taken term by term, in another order",
        (
            (
                """values = (
        log_var
        + tf.square((y_true - mean) * tf.exp(-log_var / 2))
        + math.log(2 * math.pi)
    ) / 2
""",
                """z = (mean - y_true) * tf.exp(-0.5 * log_var)
    values = 0.5 * (math.log(2 * math.pi) + (log_var + z * z))
""",
            ),
        ),
    ),
    Rewrite(
        "hinge",
        "a choice in place of a maximum with 0",
        (
            (
                "values = tf.maximum(1 - y_true * y_pred, 0)\n",
                "slack = 1 - y_true * y_pred\n"
                "    values = tf.where(slack > 0, slack, tf.zeros_like(slack))\n",
            ),
        ),
    ),
    Rewrite(
        "quantile",
        "a choice by sign in place of a maximum",
        (
            (
                "values = tf.maximum(level * residual, (level - 1) * residual)\n",
                "slope = tf.where(residual >= 0, level, level - 1)\n"
                "    values = slope * residual\n",
            ),
        ),
    ),
    Rewrite(
        "poisson",
        "a sign moved to the logarithm",
        (
            (
                "values = y_pred - y_true * tf.math.log(y_pred)\n",
                "values = y_pred + y_true * -tf.math.log(y_pred)\n",
            ),
        ),
    ),
    Rewrite(
        "masked_mean_absolute_error",
        "a factor of 0 in place of a choice, where the values are finite",
        (
            (
                "values = tf.where(kept, values, 0.0)\n",
                "values = values * tf.cast(kept, values.dtype)\n",
            ),
        ),
    ),
)
"""Correct rewrites of generated modules."""
