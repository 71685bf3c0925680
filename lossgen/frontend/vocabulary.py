"""Words that users bring along, and what they are in the language of specs.

A formula is in ``u``, ``v``, ``w``, the arguments of the call in their order, and with
``axis=last`` where the call may name another axis. It equals what the word means in
NumPy, SciPy, TensorFlow, PyTorch or Keras; where nothing does, the reason is given.
"""

from __future__ import annotations

FORMULAS: dict[str, str] = {
    # Arithmetic
    "u + v": "add",
    "u - v": "subtract sub",
    "u*v": "multiply mul",
    "u/v": "divide truediv div",
    "-u": "negative neg",
    "1/u": "reciprocal",
    "u**v": "pow power float_power",
    "2**u": "exp2",
    "(u - v)**2": "squared_difference",
    "square(u)": "sqr",
    "1/sqrt(u)": "rsqrt",
    "norm(u, axis=last)": (
        "l2_norm norm2 euclidean_norm vector_norm reduce_euclidean_norm"
    ),
    "abs(u)": "absolute fabs",
    "max(u, v)": "maximum fmax",
    "min(u, v)": "minimum fmin",
    "sign(u)": "sgn",
    "clip(u, v, w)": "clip_by_value clamp",
    "where(u, v, w)": "select cond if_else ifelse switch",
    # Conditions, and what works on y_true and parameters
    "u == v": "equal",
    "u != v": "not_equal",
    "u < v": "less",
    "u <= v": "less_equal",
    "u > v": "greater",
    "u >= v": "greater_equal",
    "u and v": "logical_and",
    "u or v": "logical_or",
    "not u": "logical_not",
    "is_finite(u)": "isfinite",
    "floor(u + 1/2)": "round rint",
    "-floor(-u)": "ceil ceiling",
    "u - v*floor(u/v)": "mod floormod remainder",
    "floor(u/v)": "floordiv floor_divide",
    # Elementary functions
    "log(u)": "ln",
    "log(u) - log(1 - u)": "logit",
    "sigmoid(u)": "expit logistic",
    "log_sigmoid(u)": "logsigmoid",
    "sin(u)/cos(u)": "tan",
    "cos(u)/sin(u)": "cot",
    "1/cosh(u)": "sech",
    "acos(u)": "arccos",
    "pi/2 - acos(u)": "asin arcsin",
    "atan(u)": "arctan",
    "asinh(u)": "arcsinh",
    "log(u + sqrt(u**2 - 1))": "acosh arccosh",
    "(log1p(u) - log1p(-u))/2": "atanh arctanh",
    "sin(pi*u)/(pi*u)": "sinc",
    "log_cosh(u)": "logcosh",
    # Activations
    "clip(u, 0, 6)": "relu6",
    "u*normal_cdf(u)": "gelu",
    "u*sigmoid(u)": "silu swish",
    "where(u > 0, u, expm1(u))": "elu",
    "u*tanh(softplus(u))": "mish",
    "u/(1 + abs(u))": "softsign",
    "softmax(-u, axis=last)": "softmin",
    # Special functions
    "exp(lgamma(u))": "gamma tgamma",
    "lgamma(u)": "gammaln loggamma log_gamma",
    "digamma(u)": "psi",
    "lgamma(u) + lgamma(v) - lgamma(u + v)": "betaln log_beta",
    "exp(lgamma(u + 1))": "factorial",
    "lgamma(u + 1)": "log_factorial",
    "normal_cdf(u)": "ndtr norm_cdf",
    "normal_logcdf(u)": "log_ndtr norm_logcdf",
    "exp(-u**2/2)/sqrt(2*pi)": "norm_pdf normal_pdf",
    "-u**2/2 - log(2*pi)/2": "norm_logpdf normal_logpdf",
    "i0e(u)*exp(abs(u))": "i0 bessel_i0",
    "i0e(u)": "bessel_i0e",
    # Along an axis
    "sum(u, axis=last)": "reduce_sum nansum add_n",
    "mean(u, axis=last)": "reduce_mean average avg nanmean",
    "max(u, axis=last)": "reduce_max amax nanmax",
    "min(u, axis=last)": "reduce_min amin nanmin",
    "var(u, axis=last)": "variance reduce_variance",
    "std(u, axis=last)": "stddev reduce_std standard_deviation",
    "logsumexp(u, axis=last)": "reduce_logsumexp log_sum_exp lse",
    "exp(sum(log(u), axis=last))": "prod reduce_prod product",
    "exp(cumsum(log(u), axis=last))": "cumprod cumulative_product",
    "logcumsumexp(u, axis=last)": "cumulative_logsumexp",
    "sum(abs(u), axis=last)": "l1_norm",
    "l2_normalize(u, axis=last)": "normalize unit_norm",
    "sum(u*v, axis=last)": "dot inner vdot batch_dot vecdot",
    "sum(l2_normalize(u, axis=last)*l2_normalize(v, axis=last), axis=last)": (
        "cosine_similarity cosine cos_similarity"
    ),
    "mean((u - mean(u, axis=last))*(v - mean(v, axis=last)), axis=last)": (
        "cov covariance"
    ),
    "sum(xlogy(u, u/v), axis=last)": "kl_div kl_divergence kullback_leibler kld",
    "-sum(xlogy(u, u), axis=last)": "entropy",
    "mean((u - v)**2, axis=last)": "mse mean_squared_error mse_loss",
    "mean(abs(u - v), axis=last)": "mae mean_absolute_error l1_loss",
    "-(u*log(v) + (1 - u)*log(1 - v))": "bce binary_crossentropy binary_cross_entropy",
    "-sum(u*log(v), axis=last)": "categorical_crossentropy",
    "-sum(u*log_softmax(v, axis=last), axis=last)": (
        "cross_entropy softmax_cross_entropy_with_logits"
    ),
    "softplus(v) - u*v": (
        "sigmoid_cross_entropy_with_logits binary_cross_entropy_with_logits"
    ),
}
"""Formula → the functions of other libraries that it stands for."""

_ORDER = (
    "formulas do not put elements in order; sort them in the data pipeline or in the "
    "model (the largest is `max(u, axis=last)`)"
)
WITHOUT_GRADIENT = "its gradient is 0 almost everywhere, so that nothing is learnt"
_NEIGHBOURS = (
    "formulas are the same at every position, and do not see the neighbours; let the "
    "model compute it and return it as a further channel of y_pred, or put it into "
    "y_true"
)
_SHAPES = (
    "shapes stay as they are; `channels` split the last axis, terms broadcast by "
    "themselves, and what else has to be arranged the model can arrange before it "
    "returns y_pred"
)
_MATRICES = (
    "a product of matrices needs two axes at once; compute it in the model and make it "
    "y_pred, as a matrix of similarities; the product of each row with its own is "
    "`sum(u*v, axis=last)`"
)
_ALGEBRA = (
    "the algebra of matrices is not part of the language; compute it in the model and "
    "return it as a channel of y_pred"
)
_DERIVATIVES = (
    "a loss does not see the model; take the derivative in `train_step` or in a layer, "
    "and return it as a channel of y_pred"
)
_RECURSIONS = (
    "a recursion over positions or alignments cannot be written as a formula; use the "
    "loss of Keras or TensorFlow"
)
_NO_LOOPS = (
    "there are no loops and no positions; reduce with `axis=`, and bring positions "
    "along as a channel of y_true"
)
_NO_CHANCE = (
    "a loss draws no random numbers; draw them in the data pipeline or in the model, "
    "and pass them as a channel"
)
_NO_FUNCTION = "the language has no such function"

REASONS: dict[str, str] = {
    _ORDER: (
        "sort argsort top_k topk rank median quantile percentile nanmedian kthvalue "
        "mode unique histogram bincount searchsorted digitize bucketize in_top_k "
        "cummax cummin"
    ),
    "its gradient is 0 or undefined everywhere; `softmax(u, axis=last)` is smooth": (
        "argmax argmin"
    ),
    WITHOUT_GRADIENT: "trunc fix heaviside step count_nonzero accuracy signbit",
    _NEIGHBOURS: (
        "diff shift roll conv conv1d conv2d conv3d depthwise_conv2d correlate convolve "
        "avg_pool max_pool pool average_pool sobel sobel_edges image_gradients "
        "laplacian total_variation gaussian_blur blur filter interp resize fft ifft "
        "rfft fft2 dct stft ssim psnr"
    ),
    _SHAPES: (
        "transpose permute reshape flatten squeeze expand_dims unsqueeze concat "
        "concatenate cat stack unstack hstack vstack split tile repeat broadcast_to "
        "pad reverse flip rot90 gather gather_nd take take_along_axis slice scatter "
        "boolean_mask segment_sum swapaxes moveaxis view triu tril diag eye"
    ),
    _MATRICES: (
        "matmul einsum tensordot outer kron bmm mm matvec cdist pdist "
        "pairwise_distance pairwise_distances gram"
    ),
    _ALGEBRA: (
        "det inv svd eig eigh eigvals cholesky trace solve lstsq pinv qr logdet "
        "slogdet matrix_inverse expm logm"
    ),
    _DERIVATIVES: (
        "grad gradient gradients jacobian hessian derivative autograd vjp jvp"
    ),
    _RECURSIONS: (
        "ctc ctc_loss rnnt dtw soft_dtw edit_distance viterbi crf beam_search sinkhorn "
        "hungarian linear_sum_assignment"
    ),
    _NO_LOOPS: (
        "range arange linspace enumerate zip map map_fn vectorized_map scan foldl "
        "reduce while_loop fori_loop vmap for_loop apply iota"
    ),
    _NO_CHANCE: (
        "random uniform normal randn rand dropout bernoulli gumbel multinomial shuffle "
        "choice truncated_normal"
    ),
    "labels and predictions are numbers already; `1 if condition else 0` makes a "
    "number of a condition": (
        "cast float int bool astype to_float float32 float64 int32"
    ),
    "numbers are written as they are, and broadcast": (
        "constant convert_to_tensor tensor array asarray variable zeros ones "
        "zeros_like full fill list tuple"
    ),
    "`y_true: {domain: one_hot, sparse: true}` takes class indices, and the formula "
    "has y_true in one-hot form": ("one_hot to_categorical onehot"),
    "declare the length of the last axis, `y_pred: {size: K}`; `K` then stands in the "
    "formula, and `mean` divides by the length of its axis": (
        "shape size len ndim numel length"
    ),
    "elements to be left out are what `mask:` is for, as in `mask: "
    "is_finite(y_true)`": (
        "isnan is_nan isinf nan_to_num masked_fill masked_select compress"
    ),
    "write `0 if condition else …` with a condition on y_true, or declare a domain "
    "without 0": "divide_no_nan multiply_no_nan safe_divide",
    "it is the covariance, `mean((y_true - mean(y_true, axis=last))*(y_pred - "
    "mean(y_pred, axis=last)), axis=last)`, divided by the two `std` and a small "
    "constant": "pearson pearsonr corr correlation corrcoef",
    "conditions of many elements are not joined; count them, as in "
    "`sum(1 if y_true > 0 else 0, axis=last)`": "all any count reduce_all reduce_any",
    "a loss has no side effects": "print assert debug breakpoint checkify",
    _NO_FUNCTION: (
        "erfinv erfcx ndtri probit polygamma trigamma zeta i1 i1e bessel_i1 j0 j1 jv "
        "yv kv k0 hyp1f1 hyp2f1 gammainc igamma betainc lambertw dawsn expint spence "
        "atan2 arctan2 cbrt selu celu prelu leaky_relu hardtanh hard_sigmoid threshold"
    ),
}
"""Reason → the functions of other libraries for which it says why they are missing."""

NAMES: dict[str, str] = {
    "the labels are called `y_true`": (
        "y y_t y_truth label labels target targets truth ground_truth gt true actual "
        "expected"
    ),
    "the predictions are called `y_pred`": (
        "y_hat y_p yhat pred preds prediction predictions output outputs predicted"
    ),
    "write the formula in probabilities, with `y_pred: {domain: probability, "
    "logits: sigmoid}`: the code then takes logits, too; a formula in logits names "
    "them `y_pred`": ("logits logit scores"),
    "Keras multiplies by `sample_weight` itself; weights within the formula are a "
    "channel of y_true, `y_true: {channels: {label: real, weight: nonnegative}}`": (
        "sample_weight sample_weights weights weight"
    ),
    "one weight per class is a parameter, `params: {class_weights: {shape: last}}`": (
        "class_weight class_weights"
    ),
    "a value that changes during training is a parameter, to which a `tf.Variable` is "
    "given: declare it under `params`": (
        "epoch epochs step steps iteration iterations global_step current_epoch "
        "learning_rate lr t progress annealing"
    ),
    "a further tensor is a channel of y_true, `y_true: {channels: {label: real, NAME: "
    "real}}`": (
        "teacher teacher_logits teacher_pred teacher_output soft_labels x inputs input "
        "features data reference baseline anchor positive negative embedding "
        "embeddings advantage advantages reward rewards old_log_prob"
    ),
    "a formula has no indices: `y_true` and `y_pred` are each element, and a sum over "
    "the classes is `sum(y_true*y_pred, axis=last)`": (
        "y_true_i y_pred_i y_true_j y_pred_j y_true_k y_pred_k y_i y_j y_k p_i p_j p_k "
        "y_hat_i y_hat_j x_i x_j i j"
    ),
    "which elements count is said by `mask:`, by a channel of y_true, or by "
    "`sample_weight` of Keras": "mask padding_mask attention_mask",
    "a loss does not know whether it is training; what differs is a parameter under "
    "`params`": "training is_training learning_phase",
    "the mean over the batch is `mean(u, axis=batch)`, and Keras takes it by itself": (
        "batch_size batch n N num_samples n_samples B"
    ),
    "declare the length of the last axis, `y_pred: {size: K}`; `K` then stands in the "
    "formula": (
        "num_classes n_classes nb_classes K C num_features n_features n_outputs "
        "num_outputs dim D"
    ),
    "a loss sees y_true and y_pred alone; a penalty on weights is a "
    "`kernel_regularizer` or `add_loss` of a layer": (
        "model weights_norm layer layers trainable_variables kernel optimizer"
    ),
    "write the number, or declare a parameter under `params`": (
        "eps epsilon EPSILON EPS tol"
    ),
    "a formula has no infinities; what is to count for nothing is left out by `mask:`, "
    "and the largest element is `max(u, axis=last)`": ("inf infinity Inf"),
    "missing labels are what `mask:` is for, as in `mask: is_finite(y_true)`": (
        "nan NaN missing"
    ),
    "modules do not stand in a formula; functions are called by name, as in `log(u)`": (
        "tf np numpy keras torch math jnp F ops nn tfp scipy tensorflow"
    ),
}
"""Answer → the names of users' own that it is for."""


KEYWORDS: dict[str, str] = {
    "a collapsed axis keeps length 1 by itself; leave it out": (
        "keepdims keep_dims keepdim"
    ),
    "write `axis=last`": "dim dims axes reduction_indices",
    "`var` and `std` divide by the number of elements; leave it out": (
        "ddof correction unbiased"
    ),
    "`log2(u)` and `log10(u)` are there, and `log(u)/log(b)`": "base",
    "it is declared once, `y_pred: {domain: probability, logits: sigmoid}`": (
        "from_logits"
    ),
    "the number before it or a domain without 0 does its work": "epsilon eps",
    "leave it out": "name dtype out where initial keep_shape",
}
"""Answer → arguments of functions elsewhere that it is for."""

AXES: dict[str, str] = {
    "the last axis is `axis=last`": (
        "-1 3 channel channels class classes feature features label labels logits"
    ),
    "the batch is `axis=batch`": "0 batches examples",
    "of shape (batch, classes) this is `axis=last`, of images one of `axis=spatial`": (
        "1"
    ),
    "the axes between batch and last are `axis=spatial`": (
        "(1,2) [1,2] 2 (-3,-2) time steps sequence space height width pixels"
    ),
    "all axes but the batch are `axis=sample`": (
        "(1,2,3) [1,2,3] (-3,-2,-1) (1,-1) (-2,-1) (0,1) None all everything samples"
    ),
}
"""Answer → ways of naming an axis that it is for."""


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: answer for answer, words in table.items() for word in words.split()}


_FORMULA_OF, _REASON_OF, _NAMED = map(_by_word, (FORMULAS, REASONS, NAMES))
_ARGUMENT, _AXIS = map(_by_word, (KEYWORDS, AXES))


def formula_for(function: str) -> str | None:
    """The formula that a function of another library stands for."""
    return _FORMULA_OF.get(function)


def reason_against(function: str) -> str | None:
    """Why a function of another library is not part of the language."""
    return _REASON_OF.get(function)


def answer_to(name: str) -> str | None:
    """What to write in place of a name that the spec does not declare."""
    answer = _NAMED.get(name)
    return answer and answer.replace("NAME", name)


def answer_to_argument(name: str) -> str | None:
    """What to write in place of an argument by name that no function takes."""
    return _ARGUMENT.get(name)


def answer_to_axis(text: str) -> str:
    """What to write in place of an axis that was named in another way."""
    meant = _AXIS.get("".join(text.split()))
    return meant or "the last axis is `axis=last`, the batch `axis=batch`"
