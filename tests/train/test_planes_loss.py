from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from smalti.errors import InputError  # noqa: E402
from smalti.postprocess.planes import Planes  # noqa: E402
from smalti.postprocess.targets import Targets  # noqa: E402
from smalti.train.distill import Distillation, distillation_loss  # noqa: E402
from smalti.train.losses import (  # noqa: E402
    PlanesLoss,
    center_loss,
    distance_loss,
    make_loss,
    offset_loss,
    sampled,
)

NAMED = Targets(("background", "cell"), (0, 1))
ALL = Planes(NAMED, 2, centers=True, distance=True, offset_unit_px=4.0)


def crop(seed=0, size=(8, 10), ndim=2):
    """Targets of two images."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(-1, 2, (2, *size))
    return {
        "classes": torch.from_numpy(classes),
        "object": torch.from_numpy(classes == 1),
        "heat": torch.from_numpy(rng.random((2, *size), np.float32)),
        "offsets": torch.from_numpy(rng.normal(size=(2, ndim, *size)).astype(np.float32)),
        "distance": torch.from_numpy(rng.random((2, *size), np.float32) * (classes == 1)),
    }


def output(planes=ALL, size=(8, 10), seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, len(planes), *size, generator=generator)


LOSS = PlanesLoss(ALL, make_loss("cross-entropy+dice"))


def test_parts_add_up_to_the_loss():
    total, parts = LOSS(output(), crop())
    assert list(parts) == ["cross-entropy", "dice", "heat", "offsets", "distance"]
    assert sum(part.item() for part in parts.values()) == pytest.approx(total.item())
    assert not any(part.requires_grad for part in parts.values())


def test_each_plane_learns_from_its_own_target_alone():
    targets, planes = crop(), output()
    for name, where in [("heat", 2), ("offsets", slice(3, 5)), ("distance", 5), ("classes", 1)]:
        _, before = LOSS(planes, targets)
        moved = planes.clone()
        moved[:, where] += 1
        _, after = LOSS(moved, targets)
        changed = {part for part in before if before[part] != after[part]}
        assert changed == ({"cross-entropy", "dice"} if name == "classes" else {name})


def test_unlabelled_pixels_give_no_plane_a_gradient():
    targets = crop()
    targets["object"] |= targets["classes"] < 0
    given = output().requires_grad_()
    LOSS(given, targets)[0].backward()
    void = (targets["classes"] < 0)[:, None].expand_as(given)
    assert (given.grad[void] == 0).all()
    outside = (targets["classes"] == 0)[:, None].expand(-1, 2, -1, -1)
    assert (given.grad[:, 3:5][outside] == 0).all()
    assert all((given.grad[:, plane] != 0).any() for plane in range(6))


def test_a_batch_without_labels_gives_zero():
    targets = crop()
    targets["classes"][:] = -1
    given = output().requires_grad_()
    total, _ = LOSS(given, targets)
    total.backward()
    assert total.item() == 0 and (given.grad == 0).all()


def test_a_perfect_output_costs_almost_nothing():
    targets = crop()
    planes = torch.empty(2, 6, 8, 10)
    planes[:, :2] = 40.0 * torch.nn.functional.one_hot(targets["classes"].clamp_min(0), 2).movedim(-1, 1)
    planes[:, 2], planes[:, 5] = torch.logit(targets["heat"]), torch.logit(targets["distance"], 1e-7)
    planes[:, 3:5] = targets["offsets"]
    assert LOSS(planes, targets)[0].item() == pytest.approx(0, abs=1e-5)


def test_coarser_maps_count_half_each():
    targets = crop()
    fine, coarse = output(), output(size=(4, 5), seed=2)
    small = {name: sampled(target, (4, 5)) for name, target in targets.items()}
    wanted = (2 * LOSS(fine, targets)[0] + LOSS(coarse, small)[0]) / 3
    assert LOSS([fine, coarse], targets)[0].item() == pytest.approx(wanted.item(), rel=1e-6)
    assert LOSS([fine], targets)[0].item() == LOSS(fine, targets)[0].item()


@pytest.mark.parametrize("old, new", [(8, 4), (7, 3), (5, 5), (3, 7), (1, 4), (9, 1)])
def test_targets_are_taken_from_the_pixel_in_the_middle(old, new):
    row = torch.arange(old)
    nearest = np.floor((np.arange(new) + 0.5) * old / new).astype(int)
    assert sampled(row[None, None], (1, new))[0, 0].tolist() == row[nearest].tolist()
    assert sampled(row[None, None, :, None], (new, 1))[0, 0, :, 0].tolist() == row[nearest].tolist()


def test_volumes_have_three_offsets():
    planes = Planes(NAMED, 3, centers=True)
    loss = PlanesLoss(planes, make_loss("dice"))
    total, parts = loss(output(planes, (3, 4, 5)), crop(size=(3, 4, 5), ndim=3))
    assert list(parts) == ["dice", "heat", "offsets"] and total.item() > 0


def test_planes_of_classes_need_no_other_targets():
    loss = PlanesLoss(Planes(NAMED, 2), make_loss("cross-entropy"))
    targets = crop()
    total, parts = loss(output()[:, :2], {"classes": targets["classes"]})
    assert list(parts) == ["cross-entropy"] and total.item() == parts["cross-entropy"].item()


def test_half_precision_is_computed_in_float32():
    half = output().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        got, parts = LOSS(half, crop())
    assert got.dtype == torch.float32 and all(part.dtype == torch.float32 for part in parts.values())
    assert got.item() == LOSS(half.float(), crop())[0].item()


def test_missing_targets_and_planes_are_named():
    targets = crop()
    del targets["heat"]
    with pytest.raises(InputError, match="heat"):
        LOSS(output(), targets)
    with pytest.raises(InputError, match=r"the planes are 6.*maps of \[5\]"):
        LOSS(output()[:, :5], crop())


def test_offsets_by_hand():
    target = torch.zeros(1, 2, 1, 3)
    offsets = torch.tensor([[[[1.0, -2, 9]], [[3.0, 0, 9]]]])
    inside = torch.tensor([[[True, True, False]]])
    assert offset_loss(offsets, target, inside).item() == pytest.approx((1 + 2 + 3 + 0) / 4)
    assert offset_loss(offsets, target, inside & False).item() == 0


def test_depth_of_objects_counts_as_much_as_the_ground():
    logit = torch.logit(torch.tensor([[[0.5, 0.1, 0.2, 0.3]]]))
    target = torch.tensor([[[0.9, 0, 0, 0]]])
    inside = torch.tensor([[[True, False, False, False]]])
    assert distance_loss(logit, target, inside).item() == pytest.approx((0.4 + 0.2) / 2)
    square = distance_loss(logit, target, inside, kind="mse").item()
    assert square == pytest.approx((0.16 + (0.01 + 0.04 + 0.09) / 3) / 2)
    assert distance_loss(logit, target, inside, ~inside).item() == pytest.approx(0.2)
    assert distance_loss(logit, target, inside, inside).item() == pytest.approx(0.4)


@pytest.mark.parametrize("loss", [center_loss, lambda a, b, w: offset_loss(a[:, None], b[:, None], w),
                                  lambda a, b, w: distance_loss(a, b, w, kind="mse")])  # fmt: skip
def test_gradients_are_those_of_finite_differences(loss):
    rng = np.random.default_rng(0)
    logit = torch.tensor(rng.normal(size=(2, 3, 4)), requires_grad=True)
    target, weight = torch.tensor(rng.random((2, 3, 4))), torch.tensor(rng.random((2, 3, 4)) < 0.5)
    assert torch.autograd.gradcheck(lambda given: loss(given, target, weight), logit, fast_mode=True)


def taught(planes):
    """``planes`` (B, P, *S) as a teacher gives them."""
    return torch.stack([torch.from_numpy(ALL.activated(one.numpy().copy())) for one in planes])


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_a_student_like_its_teacher_has_nothing_to_learn(temperature):
    planes = output().requires_grad_()
    total, parts = distillation_loss(planes, taught(planes.detach()), ALL, temperature=temperature)
    total.backward()
    assert list(parts) == ["classes", "heat", "offsets", "distance"]
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert planes.grad.abs().max() < 1e-6


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_is_hintons(temperature):
    student, teacher = output(), output(seed=5)
    got = distillation_loss(student, taught(teacher), ALL, temperature=temperature)[1]
    q = np.exp(teacher[:, :2].double().numpy() / temperature)
    p = np.exp(student[:, :2].double().numpy() / temperature)
    q, p = q / q.sum(1, keepdims=True), p / p.sum(1, keepdims=True)
    wanted = temperature**2 * (q * np.log(q / p)).sum(1).mean()
    assert got["classes"].item() == pytest.approx(wanted, rel=1e-5)


def test_other_planes_follow_the_teacher_in_their_units():
    student, teacher = output(), taught(output(seed=5))
    parts = distillation_loss(student, teacher, ALL, others=2.0)[1]
    heat = ((torch.sigmoid(student[:, 2]) - teacher[:, 2]) ** 2).mean()
    assert parts["heat"].item() == pytest.approx(2 * heat.item(), rel=1e-6)
    foreground = teacher[:, 1]
    off = ((student[:, 3:5] - teacher[:, 3:5] / 4) ** 2).mean(1)
    wanted = 2 * (off * foreground).sum() / foreground.sum()
    assert parts["offsets"].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_sure_teacher_and_half_precision_give_finite_gradients():
    teacher = torch.zeros(2, 6, 8, 10)
    teacher[:, 1] = 1
    student = (50 * output()).bfloat16().requires_grad_()
    total, _ = distillation_loss(student, teacher, ALL)
    total.backward()
    assert total.dtype == torch.float32 and torch.isfinite(student.grad).all() and (student.grad != 0).any()


def test_a_teacher_sees_the_batch_and_teaches_the_finest_map():
    image, teacher = torch.rand(2, 1, 8, 10).bfloat16(), taught(output(seed=5))
    seen = []

    def teach(batch):
        seen.append(batch)
        return teacher

    distil = Distillation(teach, ALL, temperature=1.0)
    total, _ = distil(image, [output(size=(4, 5)), output(size=(2, 2))])
    assert seen[0].dtype == torch.float32 and seen[0].shape == image.shape
    wanted, _ = distillation_loss(output(size=(4, 5)), sampled(teacher, (4, 5)), ALL, temperature=1.0)
    assert total.item() == wanted.item()


def test_a_teacher_of_other_planes_is_refused():
    with pytest.raises(InputError, match="6 planes"):
        distillation_loss(output(), output()[:, :4], ALL)
    with pytest.raises(InputError, match="temperature"):
        distillation_loss(output(), output(), ALL, temperature=0)
