/** Limits of what we accept from a file that anyone may have written. */

/** Tables, vectors and texts of the whole file: each costs memory far beyond its bytes. */
export const MAX_ITEMS = 8_000_000;

/**
 * How often the bytes of a file may be read on average. Two fields may point to the same table, so
 * a small file could unfold to more than memory holds; real files share little.
 */
export const MAX_READS_PER_BYTE = 8;

/** Read whatever the size of the file, so that a tiny one may share everything. */
export const FREE_BYTES = 65_536;

/** Elements of all lists together that are not kept as bytes, such as scales and shapes. */
export const MAX_ELEMENTS = 2 ** 26;

/** Bytes of a name or any other text. */
export const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/** Dimensions of a tensor; TFLite kernels stop at 8. */
export const MAX_RANK = 64;

/** Offsets inside a flatbuffer end here; the weights of larger files lie behind it. */
export const MAX_FLATBUFFER_BYTES = 2 ** 31 - 1;

/** Findings of unknown parts that are kept for the message. */
export const MAX_UNKNOWN = 20;

/** Bytes of a zip archive's directory behind the model. */
export const MAX_DIRECTORY_BYTES = 16 * 1024 * 1024;

/** Constants of more than this go behind the flatbuffer, which also holds everything else. */
export const MAX_INSIDE_BYTES = 2 ** 31 - 2 ** 27;

/** Constants start at multiples of this, so that a runtime can use them where they lie. */
export const ALIGNMENT = 16;
