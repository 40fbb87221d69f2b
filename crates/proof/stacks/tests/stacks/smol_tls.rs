//! TLS on smol: rustls over its sockets. tokio-rustls needs tokio's traits, not its runtime.

use std::{io, sync::Arc};

use http::{Uri, uri::Scheme};
use rustls::{ClientConfig, pki_types::ServerName};
use smol::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};
use tokio_util::either::Either;

type Socket = Compat<TcpStream>;

pub(crate) async fn connect(
    tls: Arc<ClientConfig>,
    uri: &Uri,
) -> io::Result<Either<Socket, TlsStream<Socket>>> {
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let socket = TcpStream::connect((host.as_str(), port)).await?.compat();
    if !secure {
        return Ok(Either::Left(socket));
    }
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, socket).await?;
    Ok(Either::Right(stream))
}
