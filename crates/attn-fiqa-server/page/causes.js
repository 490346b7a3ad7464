// Why a face has the quality that it has, where the service gives causes.

/** Below this strength a cause is called slight, from the next on strong. */
const MODERATE = 0.3;
const STRONG = 0.6;

/** The names of a face's causes, strongest first, with their strength in a word. */
function namedCauses(face) {
  if (!Array.isArray(face.causes)) return [];
  return [...face.causes]
    .sort((a, b) => b.strength - a.strength)
    .map(({ cause, strength }) => ({ name: readable(cause), strength: strengthWord(strength) }));
}

/** The causes of a face in one line, or `null` where it has none. */
export function causesInWords(face) {
  const causes = namedCauses(face);
  if (causes.length > 0) {
    return causes.map(({ name, strength }) => `${name} (${strength})`).join(', ');
  }
  return mainCause(face);
}

/** The main cause in words, or `null`. */
export function mainCause(face) {
  if (face.main_cause && face.main_cause !== 'none') return readable(face.main_cause);
  return null;
}

function strengthWord(strength) {
  if (strength < MODERATE) return 'slight';
  return strength < STRONG ? 'moderate' : 'strong';
}

function readable(name) {
  return name.replaceAll(/[_-]/g, ' ');
}
