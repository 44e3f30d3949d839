/** Limits of what we accept from a file that anyone may have written. */

/** Messages inside messages; control flow nests a graph, three messages deep, per level. */
export const MAX_DEPTH = 100;

/** Elements of one repeated field: more than any real network has nodes. */
export const MAX_REPEATED = 4_000_000;

/** Numbers of one tensor that is not stored as raw bytes. */
export const MAX_NUMBERS = 2 ** 28;

/** Messages and list elements in the whole file: each costs memory far beyond its bytes. */
export const MAX_ITEMS = 8_000_000;

/** Bytes of a name or any other text field. */
export const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/** A protobuf file cannot be larger; larger models keep their tensors in external files. */
export const MAX_FILE_BYTES = 2 ** 31 - 1;
