"""Scores of masks and label maps, written as they are defined."""

import numpy as np


def naive_ap(predictions, ground_truth, *, class_id, iou):
    """The protocol in plain loops, image by image as its usual implementations do it."""
    scores, matches, n_truth = [], [], 0
    for found, truth in zip(predictions, ground_truth, strict=True):
        theirs = [m for m, c in zip(truth["masks"], truth["class_id"], strict=True) if c == class_id]
        mine = [
            (s, m)
            for s, m, c in zip(found["score"], found["masks"], found["class_id"], strict=True)
            if c == class_id
        ]
        mine.sort(key=lambda pair: -pair[0])
        n_truth += len(theirs)
        taken = set()
        for score, mask in mine:
            best, best_iou = None, -1.0
            for j, other in enumerate(theirs):
                union = (mask | other).sum()
                overlap = (mask & other).sum() / union if union else 0.0
                if overlap > best_iou:
                    best, best_iou = j, overlap
            scores.append(score)
            matches.append(best_iou >= iou and best not in taken)
            if best_iou >= iou:
                taken.add(best)
    if not n_truth:
        return float("nan")
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    precisions, recalls, hits = [], [], 0
    for rank, i in enumerate(order, start=1):
        hits += matches[i]
        precisions.append(hits / rank)
        recalls.append(hits / n_truth)
    area, last = 0.0, 0.0
    for i, recall in enumerate(recalls):
        area += (recall - last) * max(precisions[i:])
        last = recall
    return area


def naive_iou(predictions, truths, *, label):
    intersection = union = 0
    for prediction, truth in zip(predictions, truths, strict=True):
        found, true = prediction == label, truth == label
        intersection += (found & true).sum()
        union += ((found | true) & (truth != 255)).sum()
    return intersection / union if union else float("nan")


def naive_boundary(labels, label, void):
    """Pixels of a label that have one of their four neighbours outside of it."""
    height, width = labels.shape
    found = []
    for y in range(height):
        for x in range(width):
            if labels[y, x] != label or void[y, x]:
                continue
            beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(i, j) for i, j in beside if 0 <= i < height and 0 <= j < width]
            if any(labels[at] != label or void[at] for at in inside):
                found.append((y, x))
    return found


def naive_boundary_f(predictions, truths, *, label, share, void=255):
    values = []
    for prediction, truth in zip(predictions, truths, strict=True):
        a, b = (naive_boundary(labels, label, truth == void) for labels in (prediction, truth))
        near = max(1, share * np.hypot(*truth.shape))
        if a or b:
            hits = [
                [any(np.hypot(y - v, x - u) <= near for v, u in others) for y, x in points]
                for points, others in ((a, b), (b, a))
            ]
            precision, recall = (sum(hit) / len(hit) if hit else 0 for hit in hits)
            total = precision + recall
            values.append(2 * precision * recall / total if total else 0)
    return float(np.mean(values)) if values else float("nan")
