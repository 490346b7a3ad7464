// Photos from a camera.

import { byId, element } from './dom.js';

/** Width requested from the camera, which uses the nearest it supports. */
const IDEAL_WIDTH = 1920;

/**
 * Sets up the dialog. Each photo taken is passed to `onFiles([file])`.
 *
 * Browsers allow camera access only over HTTPS or from the same machine. Otherwise the button
 * opens the file chooser with `capture`, which is the camera on a phone.
 */
export function setUpCamera(onFiles) {
  const camera = new Camera(onFiles);
  byId('camera-open').onclick = () => {
    if (navigator.mediaDevices?.getUserMedia) camera.open();
    else byId('capture').click();
  };
}

class Camera {
  #dialog = byId('camera');
  #video = byId('camera-video');
  #status = byId('camera-status');
  #shoot = byId('camera-shoot');
  #device = byId('camera-device');
  #onFiles;
  #stream = null;
  #taken = 0;

  constructor(onFiles) {
    this.#onFiles = onFiles;
    this.#shoot.onclick = () => this.#take();
    byId('camera-close').onclick = () => this.#dialog.close();
    this.#dialog.addEventListener('close', () => this.#stop());
    this.#device.onchange = () => this.#start(this.#device.value);
  }

  open() {
    this.#taken = 0;
    this.#dialog.showModal();
    return this.#start(null);
  }

  async #start(deviceId) {
    this.#stop();
    this.#status.textContent = 'Waiting for the camera. The browser may ask for permission.';
    const choice = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: 'user' };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { ...choice, width: { ideal: IDEAL_WIDTH } },
      });
      // The dialog may have been closed, or another camera chosen, in the meantime.
      if (!this.#dialog.open || this.#stream) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.#stream = stream;
      this.#video.srcObject = stream;
      await this.#video.play();
      this.#status.textContent = '';
      this.#shoot.disabled = false;
      await this.#listDevices();
    } catch (error) {
      this.#status.textContent = reason(error);
    }
  }

  async #listDevices() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((device) => device.kind === 'videoinput');
    const used = this.#stream?.getVideoTracks()[0]?.getSettings().deviceId;
    this.#device.replaceChildren(
      ...cameras.map((camera, index) =>
        element('option', {
          value: camera.deviceId,
          textContent: camera.label || `Camera ${index + 1}`,
          selected: camera.deviceId === used,
        }),
      ),
    );
    byId('camera-choice').hidden = cameras.length < 2;
  }

  async #take() {
    const canvas = document.createElement('canvas');
    canvas.width = this.#video.videoWidth;
    canvas.height = this.#video.videoHeight;
    canvas.getContext('2d').drawImage(this.#video, 0, 0);
    // Lossless, because compression would lower the quality.
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (!blob) {
      this.#status.textContent = 'The camera returned no picture. Try again.';
      return;
    }
    this.#taken += 1;
    this.#status.textContent =
      this.#taken === 1
        ? '1 photo taken. Take more to find the best, or close.'
        : `${this.#taken} photos taken.`;
    this.#onFiles([new File([blob], 'camera.png', { type: 'image/png' })]);
  }

  #stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
    this.#shoot.disabled = true;
  }
}

function reason(error) {
  const reasons = {
    NotAllowedError:
      'The browser does not allow this page to use the camera. Allow it in the ' +
      "browser's settings for this page and try again.",
    NotFoundError: 'No camera was found.',
    NotReadableError: 'The camera is in use by another program.',
    OverconstrainedError: 'This camera is no longer available. Choose another.',
  };
  return reasons[error.name] ?? `The camera could not be started: ${error.message}`;
}
