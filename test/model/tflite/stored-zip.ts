import { crc32 } from 'node:zlib';

/** A zip archive of one file, not compressed, whose places count from its own start. */
export function storedZip(name: string, content: Uint8Array): Uint8Array {
  const local = header(0x04034b50, 30, name, content, 14);
  const entry = header(0x02014b50, 46, name, content, 16);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length + content.length, 16);
  return Buffer.concat([local, content, entry, end]);
}

/** A file's header, there and in the directory; `at` is where its checksum stands. */
function header(signature: number, size: number, name: string, content: Uint8Array, at: number) {
  const bytes = Buffer.concat([Buffer.alloc(size), Buffer.from(name)]);
  bytes.writeUInt32LE(signature, 0);
  bytes.writeUInt32LE(crc32(content), at);
  bytes.writeUInt32LE(content.length, at + 4);
  bytes.writeUInt32LE(content.length, at + 8);
  bytes.writeUInt16LE(name.length, at + 12);
  return bytes;
}

/** The same archive with places that count from the start of a file in which it begins at `offset`. */
export function zipInFile(archive: Uint8Array, offset: number): Uint8Array {
  const bytes = Buffer.from(archive);
  const end = bytes.length - 22;
  const directory = bytes.readUInt32LE(end + 16);
  bytes.writeUInt32LE(directory + offset, end + 16);
  bytes.writeUInt32LE(bytes.readUInt32LE(directory + 42) + offset, directory + 42);
  return bytes;
}

/** The content of the archive's first file, found as unzip programs do: from the end of the file. */
export function firstFile(file: Uint8Array): { readonly name: string; readonly content: string } {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const directory = bytes.readUInt32LE(bytes.length - 22 + 16);
  if (bytes.readUInt32LE(directory) !== 0x02014b50) throw new Error('no directory there');
  const local = bytes.readUInt32LE(directory + 42);
  if (bytes.readUInt32LE(local) !== 0x04034b50) throw new Error('no file there');
  const nameEnd = local + 30 + bytes.readUInt16LE(local + 26);
  const contentEnd = nameEnd + bytes.readUInt32LE(local + 18);
  return {
    name: bytes.toString('utf8', local + 30, nameEnd),
    content: bytes.toString('utf8', nameEnd, contentEnd),
  };
}
