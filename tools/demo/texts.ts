// What people say in the demo: several scripts, emoji held together by joiners, and one longest text. Each text is unique, so
// that one that was kept twice shows.

const sayings = [
  "안녕하세요, 마당에 오신 것을 환영해요",
  "이번 주말에 같이 산책할까요?",
  "مرحبا، كيف حالك اليوم؟",
  "نلتقي غدًا في الساحة إن شاء الله",
  "👩‍👩‍👧‍👦 👨🏽‍🚀 🏳️‍🌈 🧑🏿‍🤝‍🧑🏻",
  "See you in the yard at five",
  "नमस्ते, क्या हाल है?",
  "こんにちは、元気ですか",
  "Zażółć gęślą jaźń",
  "שלום, מה שלומך?",
];

export function saying(who: number, count: number): string {
  return `${sayings[(who + count) % sayings.length]} · ${who}/${count}`;
}

/** Exactly 100,000 code points, most of them of three bytes. */
export const LONGEST_CHARACTERS = 100_000;

export function longestText(): string {
  const line = [..."마당은 집의 뜰, 사람들이 만나는 곳. ساحة اللقاء 👋🏽 "];
  const times = Math.ceil(LONGEST_CHARACTERS / line.length);
  return Array.from({ length: times }, () => line)
    .flat()
    .slice(0, LONGEST_CHARACTERS)
    .join("");
}
