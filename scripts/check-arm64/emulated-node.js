// @ts-check
// Loaded before the agent in every emulated Node.js. The kernel underneath cannot start a program of
// another architecture, so children are started by the script that runs Node.js in the emulator.
const command = process.env['EMULATED_NODE'];
if (command === undefined) throw new Error('EMULATED_NODE names no program');
process.execPath = command;
