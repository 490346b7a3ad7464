// Places the labels of the boxes so that they cover neither each other nor other faces.

/** Pixels between a box and its label. */
const GAP = 3;

/**
 * Moves the label of each box above or below it, flush with its left or right edge, to the first
 * free place. If there is none, the label shrinks to the face's number (class `compact`).
 * Boxes are in the order of the faces, largest first, so large faces are placed first.
 */
export function placeLabels(container) {
  const area = container.getBoundingClientRect();
  if (area.width === 0) return;
  const boxes = [...container.children].map((box) => ({
    label: box.querySelector('.label'),
    border: box.clientLeft,
    rect: relative(box.getBoundingClientRect(), area),
    whole: box.classList.contains('whole'),
  }));
  const placed = [];
  for (const box of boxes) {
    const others = boxes.filter((other) => other !== box && !other.whole).map(({ rect }) => rect);
    const taken = [...placed, ...others];
    const free = (place) => !taken.some((other) => overlap(place, other));
    let place = null;
    let candidates = [];
    for (const compact of [false, true]) {
      box.label.classList.toggle('compact', compact);
      candidates = places(box, area);
      place = candidates.find(free);
      if (place) break;
    }
    // Covering another face is better than covering another number.
    place ??=
      candidates.find((other) => !placed.some((label) => overlap(other, label))) ?? candidates[0];
    placed.push(place);
    box.label.style.left = `${place.left - box.rect.left - box.border}px`;
    box.label.style.top = `${place.top - box.rect.top - box.border}px`;
  }
}

/** Places inside the area for a label of its current size, best first. */
function places({ label, rect, whole }, area) {
  const [width, height] = [label.offsetWidth, label.offsetHeight];
  const at = (left, top) => {
    const x = Math.max(Math.min(left, area.width - width), 0);
    return { left: x, top, right: x + width, bottom: top + height };
  };
  if (whole) return [at(2 * GAP, 2 * GAP)];
  const lefts = [rect.left, rect.right - width];
  const tops = [rect.top - GAP - height, rect.bottom + GAP];
  const all = tops.flatMap((top) => lefts.map((left) => at(left, top)));
  const inside = all.filter(({ top, bottom }) => top >= 0 && bottom <= area.height);
  // If the box is as high as the photo, the label goes inside it.
  return inside.length > 0 ? inside : [at(rect.left + GAP, Math.max(rect.top, 0) + GAP)];
}

function relative(rect, area) {
  return {
    left: rect.left - area.left,
    right: rect.right - area.left,
    top: rect.top - area.top,
    bottom: rect.bottom - area.top,
  };
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
