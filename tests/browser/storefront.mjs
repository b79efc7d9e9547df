// The storefront in a real browser: checkouts that are refused, doubled, lost or
// interrupted, as a shopper sees them. Run by .ci/browser.

import "./scenarios/checkout.mjs";
import "./scenarios/loading.mjs";
import "./scenarios/payments.mjs";
import "./scenarios/product.mjs";
import "./scenarios/quantities.mjs";
import "./scenarios/retries.mjs";
import "./scenarios/carts.mjs";
import "./scenarios/access.mjs";
import "./scenarios/axe.mjs";
import "./scenarios/dashboard.mjs";
