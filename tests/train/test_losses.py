from __future__ import annotations

import json
import runpy
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from smalti.errors import InputError, UnknownName  # noqa: E402
from smalti.train.losses import LOSSES, class_weights_of, make_loss  # noqa: E402
from smalti.train.pixel_losses import signed_distances  # noqa: E402
from smalti.train.scores import Scores  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden"
MADE = runpy.run_path(str(GOLDEN / "make_losses.py"))
CASES = json.loads((GOLDEN / "losses.json").read_text())["cases"]

OPTIONS = {
    "cross-entropy": [{}, {"label_smoothing": 0.2}, {"hardest": 0.3}],
    "dice": [{}, {"per_image": True}, {"background": False}, {"absent": True}],
    "focal": [{}, {"gamma": 0.5}],
    "lovasz": [{}, {"per_image": True}, {"background": False}, {"absent": True}],
    "tversky": [{}, {"gamma": 0.75}, {"per_image": True}],
    "boundary": [{}, {"background": False}],
}
EVERY = [(name, options) for name, sets in OPTIONS.items() for options in sets]


@pytest.fixture(params=EVERY, ids=str)
def loss(request):
    name, options = request.param
    return partial(LOSSES[name], **options)


def scene(shape=(2, 7, 9), classes=4, void=0.2, seed=0, dtype=torch.float32):
    """Logits and target; class 3 is nowhere."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, min(classes, 3), shape)
    target[rng.random(shape) < void] = -1
    logits = rng.normal(0, 2, (shape[0], classes, *shape[1:]))
    return torch.tensor(logits, dtype=dtype), torch.from_numpy(target)


def gradient(loss, logits, *others):
    logits = logits.detach().clone().requires_grad_()
    loss(logits, *others).backward()
    return logits.grad


def probabilities(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def test_every_loss_of_the_table_is_tried():
    assert OPTIONS.keys() == LOSSES.keys()


def test_unlabelled_pixels_change_nothing_and_have_no_gradient(loss):
    logits, target = scene()
    void = (target < 0)[:, None].expand_as(logits)
    assert void.any()
    other = torch.where(void, torch.randn_like(logits) * 30, logits)
    assert loss(other, target).item() == loss(logits, target).item()
    slopes = gradient(loss, logits, target)
    assert (slopes[void] == 0).all()
    assert (slopes[~void] != 0).any()


def test_unlabelled_pixels_are_as_if_they_were_not_there(loss):
    logits, target = scene((1, 6, 8), void=0)
    wider = torch.full((1, 6, 11), -1)
    wider[..., :8] = target
    padded = torch.nn.functional.pad(logits, (0, 3), value=5.0)
    assert loss(padded, wider).item() == pytest.approx(loss(logits, target).item(), rel=1e-5)


def test_a_batch_without_labels_gives_zero(loss):
    logits, target = scene()
    target[:] = -1
    assert loss(logits, target).item() == 0
    assert (gradient(loss, logits, target) == 0).all()


@pytest.mark.parametrize(
    "name, options", [each for each in EVERY if "label_smoothing" not in each[1]], ids=str
)
def test_a_perfect_prediction_costs_almost_nothing(name, options):
    loss = partial(LOSSES[name], **options)
    _, target = scene(void=0.1)
    logits = 40.0 * torch.nn.functional.one_hot(target.clamp_min(0), 4).movedim(-1, 1)
    assert abs(loss(logits, target).item()) < 2e-5
    assert torch.isfinite(gradient(loss, logits, target)).all()
    worst = loss(-logits, target).item()
    assert np.isfinite(worst) and worst > 0.05


def test_a_step_downhill_goes_down(loss):
    logits, target = scene()
    slopes = gradient(loss, logits, target)
    length = 0.01 / slopes.norm()
    assert loss(logits - length * slopes, target) < loss(logits, target)


def test_gradients_are_those_of_finite_differences(loss):
    logits, target = scene((2, 3, 4), dtype=torch.float64, seed=3)
    weights = torch.tensor([1.0, 0.5, 2.0, 1.5], dtype=torch.float64)
    given = logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: loss(given, target, weights), given, fast_mode=True)


def test_volumes_are_images_with_one_axis_more(loss):
    logits, target = scene((1, 6, 10))
    in_image = loss(logits, target)
    in_volume = loss(logits[:, :, None], target[:, None])
    assert in_volume.item() == pytest.approx(in_image.item(), rel=1e-5)
    assert loss(*scene((1, 3, 4, 5))).item() > 0


def test_the_order_in_memory_does_not_matter(loss):
    logits, target = scene()
    last = logits.contiguous(memory_format=torch.channels_last)
    assert loss(last, target).item() == loss(logits, target).item()
    assert torch.equal(gradient(loss, last, target), gradient(loss, logits, target))


def test_half_precision_is_computed_in_float32_under_autocast_too(loss):
    logits, target = scene()
    half = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(half, target)
    assert got.dtype == torch.float32
    assert got.item() == loss(half.float(), target).item()
    slopes = gradient(loss, half, target)
    assert slopes.dtype == torch.bfloat16
    assert torch.equal(slopes, gradient(loss, half.float(), target).bfloat16())


def test_swapping_classes_swaps_nothing_in_the_loss():
    logits, target = scene(void=0)
    order = torch.tensor([2, 0, 1, 3])
    for name in LOSSES:
        swapped = LOSSES[name](logits[:, order], torch.argsort(order)[target])
        assert swapped.item() == pytest.approx(LOSSES[name](logits, target).item(), rel=1e-5), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["shape"]))
def test_losses_are_those_of_a_reference(case):
    logits, target = (torch.from_numpy(each) for each in MADE["scores"](case))
    shared = {"smooth_px": 1e-5, "absent": True}
    found = {
        "dice of the batch": LOSSES["dice"](logits, target, **shared),
        "dice of images": LOSSES["dice"](logits, target, per_image=True, **shared),
        "dice without background": LOSSES["dice"](logits, target, per_image=True, background=False, **shared),
        "tversky": LOSSES["tversky"](logits, target, **shared),
        "focal": LOSSES["focal"](logits, target),
        "smoothed cross-entropy": LOSSES["cross-entropy"](logits, target, label_smoothing=0.1),
    }
    assert {name: value.item() for name, value in found.items()} == pytest.approx(case["losses"], rel=2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_weighted_cross_entropy_is_torchs(smoothing):
    logits, target = scene()
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0])
    wanted = torch.nn.functional.cross_entropy(
        logits, target, weights, ignore_index=-1, label_smoothing=smoothing
    )
    got = LOSSES["cross-entropy"](logits, target, weights, label_smoothing=smoothing)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_hardest_pixels_are_those_of_the_largest_loss():
    logits, target = scene()
    p = probabilities(logits.numpy())
    own = np.take_along_axis(p, target.clamp_min(0).numpy()[:, None], 1)[:, 0]
    each = np.sort(-np.log(own[target.numpy() >= 0]))[::-1]
    kept = each[: round(0.25 * len(each))]
    got = LOSSES["cross-entropy"](logits, target, hardest=0.25)
    assert got.item() == pytest.approx(kept.mean(), rel=1e-5)
    one = LOSSES["cross-entropy"](logits, target, hardest=1e-6)
    assert one.item() == pytest.approx(each[0], rel=1e-5)


def test_dice_of_two_pixels_by_hand():
    logits = torch.log(torch.tensor([[[[0.8, 0.4]], [[0.2, 0.6]]]]))
    target = torch.tensor([[[0, 1]]])
    first, second = 2 * 0.8 / (1.2 + 1), 2 * 0.6 / (0.8 + 1)
    got = LOSSES["dice"](logits, target, smooth_px=0.0)
    assert got.item() == pytest.approx(1 - (first + second) / 2)
    weighted = LOSSES["dice"](logits, target, torch.tensor([3.0, 1.0]), smooth_px=0.0)
    assert weighted.item() == pytest.approx(1 - (3 * first + second) / 4)


def test_a_class_that_truth_does_not_have_counts_only_where_asked():
    logits = torch.log(torch.tensor([[[[0.7, 0.7]], [[0.2, 0.2]], [[0.1, 0.1]]]]))
    target = torch.tensor([[[0, 0]]])
    dice = 1 - (2 * 1.4 + 1) / (1.4 + 2 + 1)
    assert LOSSES["dice"](logits, target).item() == pytest.approx(dice)
    absent = [1 - 1 / (0.4 + 1), 1 - 1 / (0.2 + 1)]
    got = LOSSES["dice"](logits, target, absent=True)
    assert got.item() == pytest.approx((dice + sum(absent)) / 3)
    assert LOSSES["dice"](logits, target, background=False).item() == 0


def test_tversky_costs_by_hand():
    logits = torch.log(torch.tensor([[[[0.8, 0.4]], [[0.2, 0.6]]]]))
    target = torch.tensor([[[0, 1]]])
    indices = [0.8 / (0.8 + 0.3 * 0.4 + 0.7 * 0.2), 0.6 / (0.6 + 0.3 * 0.2 + 0.7 * 0.4)]
    got = LOSSES["tversky"](logits, target, smooth_px=0.0)
    assert got.item() == pytest.approx(1 - sum(indices) / 2)
    focal = LOSSES["tversky"](logits, target, smooth_px=0.0, gamma=0.75)
    assert focal.item() == pytest.approx(sum((1 - index) ** 0.75 for index in indices) / 2)
    even = LOSSES["tversky"](logits, target, alpha=0.5, beta=0.5, smooth_px=0.5)
    assert even.item() == pytest.approx(LOSSES["dice"](logits, target).item())


def test_focal_without_gamma_is_cross_entropy():
    logits, target = scene()
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0])
    wanted = LOSSES["cross-entropy"](logits, target, weights)
    assert LOSSES["focal"](logits, target, weights, gamma=0.0).item() == pytest.approx(wanted.item())


def slow_lovasz(p, target, classes, absent=False):
    """Berman's definition with one set of pixels after the other."""
    losses = []
    for k in range(classes):
        truth = target == k
        if not truth.any() and not absent:
            continue
        error = np.where(truth, 1 - p[k], p[k])
        order = np.argsort(-error)
        total, before = 0.0, 0.0
        for count in range(1, len(order) + 1):
            wrong = np.zeros(len(order), bool)
            wrong[order[:count]] = True
            now = wrong.sum() / (wrong | truth).sum()  # 1 - IoU when these are wrong
            total += error[order[count - 1]] * (now - before)
            before = now
        losses.append(total)
    return np.mean(losses)


@pytest.mark.parametrize("absent", [False, True])
def test_lovasz_is_that_of_its_definition(absent):
    logits, target = scene((2, 4, 6))
    p = probabilities(logits.numpy())
    labelled = target.numpy() >= 0
    rows = np.moveaxis(p, 1, 0)[:, labelled]
    wanted = slow_lovasz(rows, target.numpy()[labelled], 4, absent)
    got = LOSSES["lovasz"](logits, target, absent=absent)
    assert got.item() == pytest.approx(wanted, rel=1e-5)
    wide = LOSSES["lovasz"](logits.double(), target, absent=absent)  # sorted by torch
    assert wide.item() == pytest.approx(wanted, rel=1e-5)
    per_image = LOSSES["lovasz"](logits, target, per_image=True, absent=True)
    each = [slow_lovasz(p[i][:, labelled[i]], target[i].numpy()[labelled[i]], 4, True) for i in range(2)]
    assert per_image.item() == pytest.approx(np.mean(each), rel=1e-5)


def test_lovasz_of_hard_predictions_is_one_less_iou():
    _, target = scene(void=0)
    predicted = torch.roll(target, 1, 2)
    logits = 60.0 * torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1)
    ious = [
        ((target == k) & (predicted == k)).sum() / ((target == k) | (predicted == k)).sum() for k in range(3)
    ]
    assert LOSSES["lovasz"](logits, target).item() == pytest.approx(1 - np.mean(ious), rel=1e-5)


def test_signed_distances_of_a_row_by_hand():
    maps = signed_distances(np.array([[0, 0, 0, 1, 1, -1]]), 3)
    assert maps[1, 0] == pytest.approx([1, 2 / 3, 1 / 3, -1 / 2, -1, 0])
    assert maps[0, 0] == pytest.approx([-1, -2 / 3, -1 / 3, 1 / 2, 1, 0])
    assert not maps[2].any()
    assert not signed_distances(np.ones((3, 3), int), 2).any()
    assert not signed_distances(np.full((3, 3), -1), 2).any()
    assert signed_distances(np.arange(8).reshape(2, 2, 2) % 2, 2).shape == (2, 2, 2, 2)


def test_boundary_takes_maps_that_are_given():
    logits, target = scene(classes=3)
    maps = torch.stack([torch.from_numpy(signed_distances(each, 3)) for each in target.numpy()])
    made = LOSSES["boundary"](logits, target).item()
    assert LOSSES["boundary"](logits, target, distances=maps).item() == made
    p, phi = probabilities(logits.numpy()), maps.numpy()
    truth = np.stack([target.numpy() == k for k in range(3)], 1)
    labelled = target.numpy() >= 0
    wanted = (((p - truth) * phi).sum(1) * labelled).sum() / labelled.sum()
    assert made == pytest.approx(wanted, rel=1e-5)
    summed = make_loss("boundary+dice")(logits, target, distances=maps)
    assert summed.item() == pytest.approx(made + LOSSES["dice"](logits, target).item())
    with pytest.raises(InputError, match="distances must be"):
        LOSSES["boundary"](logits, target, distances=maps[:1])


def test_a_sum_is_the_sum_of_its_terms_and_so_is_its_gradient():
    logits, target = scene()
    weights = [1.0, 2.0, 0.5, 1.0]
    summed = make_loss("0.5*cross-entropy + lovasz+2*dice", weights)
    apart = [(0.5, "cross-entropy"), (1, "lovasz"), (2, "dice")]

    def wanted(given, target):
        # what counts overlaps treats classes alike as it is
        own = {"cross-entropy": torch.tensor(weights)}
        return sum(w * LOSSES[name](given, target, own.get(name)) for w, name in apart)

    assert summed(logits, target).item() == pytest.approx(wanted(logits, target).item(), rel=1e-6)
    assert torch.allclose(gradient(summed, logits, target), gradient(wanted, logits, target), atol=1e-7)
    assert list(summed.parts(logits, target)) == ["cross-entropy", "lovasz", "dice"]


def test_a_loss_is_made_again_from_what_it_says():
    loss = make_loss({"cross-entropy": {"weight": 0.5, "label_smoothing": 0.1}, "dice": 2}, np.ones(4))
    again = make_loss(json.loads(json.dumps(loss.described())), loss.class_weights)
    assert again == loss


@pytest.mark.parametrize(
    "spec",
    ["", "dice+", "dice+dice", "x*dice", "0*dice", {}, {"dice": -1}, {"dice": "2"}, {"dice": float("nan")}],
)
def test_a_sum_that_cannot_be_is_refused(spec):
    with pytest.raises(InputError):
        make_loss(spec)


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(UnknownName, match="nearest: dice"):
        make_loss("cross-entropy+dise")
    with pytest.raises(UnknownName, match="option of dice.*per_image"):
        make_loss({"dice": {"per_imag": True}})
    with pytest.raises(UnknownName, match="option of boundary"):
        make_loss({"boundary": {"distances": 1}})
    with pytest.raises(UnknownName, match="inverse"):
        class_weights_of([1, 2], "invers")


def test_shapes_and_types_that_do_not_fit_are_refused():
    logits, target = scene()
    with pytest.raises(InputError, match=r"\(B, K, \*S\)"):
        Scores(logits, target[:, :-1])
    with pytest.raises(InputError, match="int64"):
        Scores(logits, target.int())
    with pytest.raises(InputError, match="names class 4"):
        Scores(logits, target + 2)
    with pytest.raises(InputError, match="one per class, 4"):
        make_loss("dice", [1.0, 2.0])(logits, target)
    for weights in ([-1.0, 1], [0.0, 0], [[1.0]], [float("nan"), 1]):
        with pytest.raises(InputError, match="class_weights"):
            make_loss("dice", weights)


def test_class_weights_by_hand():
    counts = [90, 10, 0]
    assert class_weights_of(counts, "none").tolist() == [1, 1, 1]
    assert class_weights_of(counts, "inverse") == pytest.approx([0.2, 1.8, 1])
    assert class_weights_of(counts, "sqrt") == pytest.approx([0.5, 1.5, 1])
    enet = 1 / np.log(1.02 + np.array([0.9, 0.1]))
    assert class_weights_of(counts, "enet")[:2] == pytest.approx(enet / enet.mean(), rel=1e-6)
    b = 1 - 2 / 1e6
    effective = (1 - b) / (1 - b ** np.array([9e5, 1e5]))
    got = class_weights_of([900_000, 100_000], "effective")
    assert got == pytest.approx(effective / effective.mean(), rel=1e-4)
    assert class_weights_of([0, 0], "inverse").tolist() == [1, 1]
    with pytest.raises(InputError):
        class_weights_of([-1, 2], "inverse")


def test_sums_of_many_pixels_keep_their_digits():
    logits = torch.zeros(1, 2, 1024, 1024)
    target = torch.zeros(1, 1024, 1024, dtype=torch.int64)
    logits[:, 0] = -2.0
    p = 1 / (1 + np.exp(2.0))
    wanted = 1 - 2 * p / (p + 1)
    assert LOSSES["dice"](logits, target, smooth_px=0.0).item() == pytest.approx(wanted, rel=1e-6)
