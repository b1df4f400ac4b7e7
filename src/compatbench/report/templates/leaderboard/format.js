// Numbers arrive rounded by their unit; here they only get their signs and zeros.
const UNDEFINED = "–";
const DECIMALS = { count: 0, points: 1, share: 2, times: 2 };

function number(value, unit) {
  if (value === null || value === undefined) return UNDEFINED;
  if (typeof value === "string") return value;
  let text;
  if (unit === "amount") text = Math.abs(value) >= 100 ? grouped(value) : String(value);
  else if (unit === "count") text = grouped(value);
  else if (unit === "place") text = String(value);
  else text = value.toFixed(DECIMALS[unit]);
  if (unit === "times") text = `×${text}`;
  return text.replace("-", "−");
}

function grouped(value) {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

function interval(low, high, unit) {
  return low === null || high === null ? "" : `[${number(low, unit)}, ${number(high, unit)}]`;
}

// A cell of a table: a value, [value, low, high], or either with emphasis and marks.
function cellOf(raw) {
  const marked = raw !== null && typeof raw === "object" && !Array.isArray(raw);
  const content = marked ? raw.v : raw;
  const [value, low, high] = Array.isArray(content) ? content : [content, null, null];
  return { value, low, high, bold: marked && raw.b === 1, marks: marked ? raw.m : [] };
}

function plural(count, one, many = `${one}s`) {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
