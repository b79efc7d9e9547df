//! The codes of problems, and what each means.

use crate::language::Language;

/// A code. The English title is given where the problem is made.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) name: &'static str,
    english: &'static str,
    pub(crate) spanish_title: &'static str,
    spanish: &'static str,
}

impl Code {
    /// Returns what the code means.
    pub(crate) const fn meaning(&self, language: Language) -> &'static str {
        language.choose(self.english, self.spanish)
    }
}

/// Returns the code of this name.
pub(crate) fn find(name: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.name == name)
}

macro_rules! codes {
    ($($name:literal: $english:literal; $spanish_title:literal: $spanish:literal)*) => {
        &[$(Code { name: $name, english: $english, spanish_title: $spanish_title, spanish: $spanish }),*]
    };
}

const CODES: &[Code] = codes! {
    "invalid": "The request is not valid. The detail says why, errors lists the wrong fields.";
        "Petición no válida": "La petición no es válida; errors tiene los campos incorrectos."
    "empty-cart": "The cart is empty, so there is nothing to buy.";
        "El carrito está vacío": "El carrito está vacío: no hay nada que comprar. Agregue primero un producto."
    "insufficient-stock": "Less is in stock than was requested: short lists what is available. Nothing was sold.";
        "Existencias insuficientes": "Hay menos existencias de las pedidas: short dice cuántas quedan. No se vendió nada."
    "unauthorized": "The request has no bearer token, or an unknown one.";
        "Falta la identificación": "La petición no tiene token, o tiene uno desconocido."
    "request-timeout": "The body of the request did not arrive in time. Nothing was changed.";
        "La petición no llegó a tiempo": "El cuerpo de la petición no llegó a tiempo. No se cambió nada: envíela de nuevo."
    "forbidden": "Only an admin may send this request.";
        "Prohibido": "Solo un administrador puede enviar esta petición."
    "not-found": "The resource does not exist, or belongs to another user.";
        "No existe": "El recurso no existe, o es de otro usuario."
    "method-not-allowed": "The address exists, but does not allow this method.";
        "Método no permitido": "La dirección existe, pero no admite este método."
    "conflict": "Another request changed the data in between. Read again, then decide again.";
        "Conflicto con otra petición": "Otra petición cambió los datos entretanto. No se cambió nada: lea de nuevo y decida."
    "cart-bought": "Another request has bought this cart, for another address. Nothing was changed: order is its id.";
        "El carrito ya se compró": "Otra petición compró este carrito, con otra dirección. No se cambió nada: order es su pedido."
    "price-changed": "The price is no longer the expected one. Nothing was sold.";
        "El precio cambió": "El precio ya no es el esperado. No se vendió nada."
    "product-paused": "The product is not for sale at the moment. Nothing was sold.";
        "El producto no está a la venta": "El producto no está a la venta en este momento. No se vendió nada."
    "invalid-order-state": "The state of the order does not allow this step.";
        "No es posible en este estado": "El estado del pedido no permite este paso."
    "reservation-closed": "The reservation was consumed or released, or has expired.";
        "No es posible en este estado": "La reserva ya se usó, se liberó o venció."
    "archived": "The order was archived long ago. The request took effect once.";
        "En el archivo": "El pedido se archivó hace tiempo. La petición tuvo efecto una vez."
    "already-exists": "The name is in use.";
        "Ya existe": "El nombre ya se usa."
    "stock-held": "Reservations hold more units than the new stock has.";
        "Existencias reservadas": "Las reservas tienen más unidades que las nuevas existencias."
    "return-exceeds-order": "The return request has more units than are left in the order.";
        "Devolución demasiado grande": "La devolución tiene más unidades de las que quedan en el pedido."
    "precondition-failed": "The cart or the product has changed since it was read: current is its state now.";
        "Cambió desde la lectura": "El carrito o el producto cambió desde que se leyó. No se cambió nada: current es su estado actual."
    "precondition-required": "Read the product first, and send its ETag as If-Match.";
        "Falta la condición": "Lea primero el producto y envíe su ETag como If-Match."
    "too-large": "The body is larger than any valid request of the shop.";
        "Cuerpo demasiado grande": "El cuerpo es mayor que cualquier petición válida de la tienda."
    "unsupported-media-type": "The Content-Type of the body must be application/json.";
        "Se espera JSON": "El Content-Type del cuerpo debe ser application/json."
    "unprocessable": "The body is JSON, but does not have the expected fields.";
        "Campos inesperados": "El cuerpo es JSON, pero no tiene los campos esperados."
    "idempotency-mismatch": "The Idempotency-Key was used before for another request. Use a new key.";
        "La clave ya se usó": "Esta Idempotency-Key se usó antes para otra petición. Use una clave nueva."
    "too-many-requests": "The user has sent too many requests. Wait as long as Retry-After says.";
        "Demasiadas peticiones": "Hubo demasiadas peticiones. Espere lo que dice Retry-After."
    "internal": "The server failed. The error is in its log, under the request_id.";
        "Error interno": "El servidor falló. El error está en su registro, con el request_id."
    "busy": "The shop is too busy. Nothing was changed: send the request again after Retry-After.";
        "La tienda está ocupada": "La tienda está muy ocupada. No se cambió nada: envíe la petición de nuevo después de Retry-After."
    "unknown-outcome": "The outcome is unknown. Send the same request again: with the same If-Match or key it takes effect once.";
        "Resultado desconocido": "Aún no se conoce el resultado. Envíe la misma petición: con el mismo If-Match o la misma clave tiene efecto una sola vez."
    "not-ready": "The shop is shutting down, or its database does not answer.";
        "No está lista": "La tienda se está cerrando, o su base de datos no responde."
};
