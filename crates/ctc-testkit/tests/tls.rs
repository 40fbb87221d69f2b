//! https, with the certificate that the server created.

mod common;

use std::{net::TcpStream, sync::Arc, time::Duration};

use common::{Client, DEVICES};
use ctc_testkit::{Server, StartError};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};

fn over_tls(
    server: &Server,
    name: &'static str,
) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(
            server.certificate_der().expect("a certificate").to_vec(),
        ))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address()).expect("connect");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    let name = ServerName::try_from(name).expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    Client::over(StreamOwned::new(session, stream))
}

#[test]
fn a_session_over_tls() -> Result<(), StartError> {
    let server = Server::builder().tls(true).start()?;
    assert_eq!(server.url(), format!("https://localhost:{}", server.port()));
    assert!(
        server
            .certificate_pem()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    for name in ["localhost", "127.0.0.1"] {
        let mut client = over_tls(&server, name);
        let reply = client.login();
        assert!(reply.all("set-cookie")[1].contains("; Secure"));
        assert_eq!(client.get(DEVICES, reply.token().unwrap()).status, 200);
    }
    assert_eq!(server.counts().connections, 2);
    Ok(())
}

#[test]
fn no_provider_is_installed_for_the_process() {
    let _server = Server::builder().tls(true).start().unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[test]
fn plain_http_on_a_tls_port_does_no_harm() {
    let server = Server::builder().tls(true).start().unwrap();
    let mut plain = Client::connect(&server);
    plain.write("GET", DEVICES, &[], b"").unwrap();
    assert!(!plain.read_to_end().starts_with(b"HTTP/"));
    assert_eq!(over_tls(&server, "localhost").login().status, 200);
}
