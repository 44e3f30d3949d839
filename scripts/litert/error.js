// @ts-check

/** What LiteRT cannot do with a file, in one line. */
export class LitertError extends Error {
  /** @override */
  name = 'LitertError';
}

/**
 * What was thrown and what was logged on the way there, in one line.
 * @param {unknown} error
 * @param {readonly string[]} logged
 */
export function litertError(error, logged) {
  if (error instanceof LitertError) return error;
  const errors = logged.filter((line) => line.startsWith('ERROR')).map(plain);
  const last = plain(error instanceof Error ? error.message : String(error));
  return new LitertError([...new Set([...errors, last])].filter(Boolean).join('; '), {
    cause: error,
  });
}

/** Without the places in the source of LiteRT. @param {string} text */
function plain(text) {
  return text
    .replaceAll(/(?:└ )?ERROR: ?/g, '')
    .replaceAll(/\[[^\]\s]*:\d+\]/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
