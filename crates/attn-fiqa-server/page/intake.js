// Receives photos that are chosen, dropped or pasted.

import { byId } from './dom.js';

/**
 * Calls `onFiles(files)` for photos that are chosen, dropped anywhere or pasted, or
 * `onProblem(text)` if there are none.
 */
export function watchIntake(onFiles, onProblem) {
  watchChooser(byId('files'), onFiles);
  watchChooser(byId('capture'), onFiles);
  byId('choose').onclick = () => byId('files').click();
  watchDrops(onFiles, onProblem);
  watchPaste(onFiles, onProblem);
}

function watchChooser(input, onFiles) {
  input.onchange = () => {
    onFiles([...input.files]);
    // So that the same file can be chosen again after it was removed.
    input.value = '';
  };
}

function watchDrops(onFiles, onProblem) {
  const cover = byId('drop-cover');
  // Entering an element adds one, leaving one subtracts one.
  let depth = 0;
  const show = (change) => {
    depth = Math.max(depth + change, 0);
    cover.hidden = depth === 0;
  };
  document.addEventListener('dragenter', (event) => {
    event.preventDefault();
    show(1);
  });
  document.addEventListener('dragleave', () => show(-1));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    show(-depth);
    const items = [...event.dataTransfer.items];
    const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
    if (folders.length > 0) {
      onProblem(
        'A folder cannot be dropped here: drop the photos in it, or use the program ' +
          '(attn-fiqa score FOLDER).',
      );
      return;
    }
    const files = [...event.dataTransfer.files];
    if (files.length > 0) onFiles(files);
    else
      onProblem(
        'You dropped a link or text, not a file: save the photo first, or copy and paste it.',
      );
  });
}

function watchPaste(onFiles, onProblem) {
  document.addEventListener('paste', (event) => {
    if (event.target.closest?.('input, textarea')) return;
    const files = [...event.clipboardData.files];
    if (files.length === 0) {
      onProblem('The clipboard contains no photo: copy the image itself, not its link.');
      return;
    }
    event.preventDefault();
    // Browsers name every copied image image.png.
    onFiles(files.map((file) => (file.name === 'image.png' ? renamed(file, 'pasted.png') : file)));
  });
}

function renamed(file, name) {
  return new File([file], name, { type: file.type });
}
